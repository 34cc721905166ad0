"""What the stage `recurrent` is put together from: networks, episodes, losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from rigid.assets.store import AssetStore
from rigid.edits.library import load_library
from rigid.models.build import (
    build_generator,
    build_image_encoder,
    build_lpips,
    mean_code,
    new_image_encoder,
    new_recurrent_encoder,
)
from rigid.models.profiles import sizes_of
from rigid.reporting import Say
from rigid.training.device import place
from rigid.training.flow import load_flow
from rigid.training.framing import Cut
from rigid.training.image_encoder import IMAGE_ENCODER_FILE
from rigid.training.loop import Losses
from rigid.training.material import Material, Source, load_or_make_clips, load_or_make_stills, load_or_make_walks
from rigid.training.recurrent_losses import RecurrentLosses
from rigid.training.recurrent_options import RecurrentOptions
from rigid.training.recurrent_validation import Validation
from rigid.training.rollout import (
    Networks,
)
from rigid.training.shipping import load_initial
from rigid.training.visible_net import load_visible

RECURRENT_FILE = "recurrent_encoder.safetensors"


@dataclass(frozen=True)
class Parts:
    """What the stage is put together from."""

    networks: Networks
    material: Material
    losses: RecurrentLosses
    validate: Callable[[Networks, Path], Losses]


def build_parts(options: RecurrentOptions, store: AssetStore, folder: Path, say: Say) -> Parts:
    """The profile's networks and the episodes of the run folder, which are made now unless they are kept there."""
    profile, sizes = options.profile, sizes_of(options.profile)
    visible = load_visible(options.visible, profile)
    estimate = load_flow(options.flow)
    library = load_library(profile, custom=False)
    if not len(library):
        raise ValueError(f"{profile} has no attributes to edit with; import some first.")
    cut = Cut(options.frames, options.clip_episodes, sizes.image_size, options.window, sizes.code_size)
    generator = place(build_generator(profile, store))
    sources = []
    if options.clips_share:
        clips = load_or_make_clips(folder, options.data, "train", cut, estimate, store, say)
        sources.append(Source(clips, options.clips_share))
    if options.stills_share:
        sources.append(
            Source(load_or_make_stills(folder, options.data, cut, estimate, options.stills), options.stills_share)
        )
    if options.walks_share:
        for seed in range(2, 2 + options.walk_sets):
            walks = load_or_make_walks(
                folder, profile, generator, library, cut, estimate, store, count=options.walks, seed=seed
            )
            sources.append(Source(walks, options.walks_share / options.walk_sets))
    # only now: whether episodes were made or kept, the encoder begins the same
    torch.manual_seed(options.seed)
    networks = build_networks(options, generator)
    losses = RecurrentLosses(options.weights, place(build_lpips(store, exact=False)), visible, estimate)
    validation = Validation(options.data, options.validation_frames, library, place(build_lpips(store)))
    return Parts(networks, Material(sources, library, sizes.n_shared_codes), losses, validation)


def build_networks(options: RecurrentOptions, generator: nn.Module) -> Networks:
    """The encoders that `options` name, with `generator`."""
    profile, sizes = options.profile, sizes_of(options.profile)
    return Networks(
        place(_image_encoder(options)),
        place(load_initial(new_recurrent_encoder(profile), options.initial, profile, RECURRENT_FILE)),
        generator,
        sizes.n_shared_codes,
        sizes.hidden_shape,
        sizes.newest_noise_share,
    )


def _image_encoder(options: RecurrentOptions) -> nn.Module:
    if options.image_encoder is None:
        return build_image_encoder(options.profile)
    network = new_image_encoder(options.profile, mean_code(options.profile))
    load_initial(network, options.image_encoder, options.profile, IMAGE_ENCODER_FILE)
    return network.eval().requires_grad_(False)
