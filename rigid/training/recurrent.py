"""Stage `recurrent`: the recurrent encoder learns to invert and edit coherently; all else is frozen (§3.4).

Two phases. First single frames, each after one step without gradients, learn inversion alone: many faces a
second, no edited frames, no flow. Then whole episodes learn all of Eq. 16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

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
from rigid.training.device import DEVICE, place
from rigid.training.distributed import average_gradients, average_values, rank, world
from rigid.training.episodes import Batch
from rigid.training.flow import load_flow
from rigid.training.framing import Cut
from rigid.training.image_encoder import FILE as IMAGE_ENCODER_FILE
from rigid.training.loop import Losses, Stage, check_finite
from rigid.training.material import Material, Source, load_or_make_clips, load_or_make_stills, load_or_make_walks
from rigid.training.rates import cosine, set_rate
from rigid.training.recurrent_losses import LossWeights, RecurrentLosses
from rigid.training.recurrent_validation import Validation
from rigid.training.rollout import (
    Codes,
    Memory,
    Networks,
    advance,
    compensate,
    encode_episode,
    plain_change,
    quiet_memory,
    roll,
    show,
)
from rigid.training.shipping import Initial, load_initial, write_weights
from rigid.training.visible_net import load_visible

FILE = "recurrent_encoder.safetensors"


@dataclass(frozen=True)
class RecurrentOptions:
    """What the stage is trained on and how."""

    data: Path
    """Folder of real clips and stills with an `index.json`."""
    profile: str = "mobile-256"
    seed: int = 0
    initial: Initial = "new"
    """Start from nothing, from the weights that ship, or from those of a file."""
    image_encoder: Path | None = None
    """Weights of the image encoder it is to stand beside; None for those that ship."""
    visible: Path | None = None
    """The trained visible net; None for the one that ships."""
    flow: Path | None = None
    """A flow estimator saved by `torch.export.save`; None for OpenCV's DIS."""
    without: tuple[str, ...] = ()
    """Ablations: `ibfcc` and `tc` leave out these losses."""
    single_steps: int = 0
    """First phase."""
    episode_steps: int = 1000
    """Second phase."""
    single_batch: int = 8
    """Frames a step, in each process."""
    episode_batch: int = 1
    """Episodes a step, in each process."""
    frames: int = 6
    """T."""
    truncation: int = 1
    """Frames of an episode that gradients run through; 1 detaches the state after every frame, as the authors do."""
    learning_rate: float = 1e-4
    single_learning_rate: float = 1e-4
    final_rate: float = 1.0
    """Where each phase's learning rate ends, as a share of where it begins, along a cosine."""
    clip_norm: float = 10.0
    """Largest norm of a step's gradient."""
    average: float = 0.995
    """Decay of the running mean of the weights, which is what ships."""
    alpha: float = 0.8
    rec_weight: float = 1.0
    tc_weight: float = 2.0
    ibfcc_weight: float = 5.0
    edit_weight: float = 0.0
    """The weight of the true edited faces of generated episodes."""
    offset_weight: float = 0.0
    change_weight: float = 0.0
    quiet: float = 0.0
    """Share of episodes that begin as a stream does while nothing is edited: the real face stands for E_0."""
    clips_share: float = 0.4
    stills_share: float = 0.25
    walks_share: float = 0.35
    clip_episodes: int = 8
    """Episodes of each clip."""
    stills: int = 1000
    """Stills that are taken at most."""
    walks: int = 300
    """Walks of a set."""
    walk_sets: int = 1
    """Sets of walks, each drawn anew."""
    window: int = 160
    """Side of the un-aligned frames the losses are computed on, a multiple of 32."""
    validation_frames: int = 16
    """Frames of each validation clip, on end."""

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.single_steps + self.episode_steps

    @property
    def weights(self) -> LossWeights:
        """The losses' factors, ablations taken out."""
        tc, ibfcc = (
            0.0 if name in self.without else weight
            for name, weight in (("tc", self.tc_weight), ("ibfcc", self.ibfcc_weight))
        )
        own = (self.edit_weight, self.offset_weight, self.change_weight)
        return LossWeights(self.alpha, self.rec_weight, tc, ibfcc, *own)


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
        place(load_initial(new_recurrent_encoder(profile), options.initial, profile, FILE)),
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


class RecurrentStage(Stage):
    """Trains the recurrent encoder; see `Stage`."""

    def __init__(self, options: RecurrentOptions, make_parts: Callable[[], Parts]):
        self.options = options
        parts = make_parts()
        self.networks, self.material, self.losses = parts.networks, parts.material, parts.losses
        self._validate = parts.validate
        self.encoder = self.networks.recurrent_encoder.train().requires_grad_()
        self.average = torch.optim.swa_utils.AveragedModel(
            self.encoder, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.average), use_buffers=True
        )
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), options.learning_rate)

    def step(self, index: int) -> Losses:
        """Take one step; a loss that is not finite stops it before anything changes."""
        self._set_learning_rate(index)
        # one to draw with, one for what several processes have to choose alike
        random, alike = (np.random.default_rng((self.options.seed, index, use)) for use in range(2))
        single = index < self.options.single_steps
        count = self.options.single_batch if single else self.options.episode_batch
        batch = self.material.draw(random, count, 2 if single else self.options.frames)
        quiet = random.random(count * world())[rank() :: world()] < self.options.quiet
        advance_one = self._single if single else self._episode
        losses = advance_one(batch, torch.from_numpy(quiet).to(DEVICE), alike)
        values = average_values({name: value.item() for name, value in losses.items()})
        check_finite(values, f"of {', '.join(batch.names)}")
        return values | {"gradient": self._descend(losses["loss"])}

    def validate(self, folder: Path) -> Losses:
        """MSE and LPIPS of live inversion on the validation clips, means over clips; a grid of them."""
        return self._validate(replace(self.networks, recurrent_encoder=self._average()), folder)

    def export(self, folder: Path) -> None:
        write_weights(folder / FILE, self._average().state_dict())

    @property
    def parts(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "average": self.average, "optimizer": self.optimizer}

    def _single(self, batch: Batch, quiet: Tensor, random: np.random.Generator) -> dict[str, Tensor]:
        """The second of two frames; the first only makes what is handed on."""
        codes = encode_episode(self.networks, batch.inputs, batch.edits)
        memory = self._second_memory(batch, codes, quiet)
        if self.options.change_weight:
            step = advance(self.networks, batch.inputs[:, 1], codes, 1, memory)
            return self.losses.of_single(batch, step, 1, random, plain_change(self.networks, codes, 1))
        edited = batch.known if self.options.edit_weight else []
        step = advance(self.networks, batch.inputs[:, 1], codes, 1, memory, edited)
        return self.losses.of_single(batch, step, 1, random)

    @torch.no_grad()
    def _second_memory(self, batch: Batch, codes: Codes, quiet: Tensor) -> Memory:
        """What the first frame hands to the second: its pictures, or, where all is quiet, the real face."""
        first = batch.inputs[:, 0]
        found = compensate(self.networks, first, quiet_memory(self.networks, first))
        inverted, edited, loud = first.clone(), first.clone(), (~quiet).nonzero().flatten().tolist()
        if loud:
            inverted[loud], edited[loud] = show(self.networks, codes, 0, found, loud, loud)
        return Memory(first, inverted, edited, found.hidden, found.cell, found.noise)

    def _episode(self, batch: Batch, quiet: Tensor, random: np.random.Generator) -> dict[str, Tensor]:
        codes = encode_episode(self.networks, batch.inputs, batch.edits)
        steps = list(roll(self.networks, batch.inputs, codes, quiet, self.options.truncation))
        held = range(batch.frames) if self.options.change_weight else ()
        changes = [plain_change(self.networks, codes, t) for t in held]
        return self.losses.of_episode(batch, steps, random, changes)

    def _descend(self, loss: Tensor) -> float:
        """One step of the optimiser; the norm of the gradient, before it was clipped."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.encoder.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.encoder.parameters(), self.options.clip_norm)
        self.optimizer.step()
        self.average.update_parameters(self.encoder)
        return norm.item()

    def _set_learning_rate(self, index: int) -> None:
        """Each phase: a short warm-up, then a cosine from its rate to `final_rate` of it."""
        options = self.options
        first = index < options.single_steps
        peak = options.single_learning_rate if first else options.learning_rate
        done = index / options.single_steps if first else (index - options.single_steps) / options.episode_steps
        warm_up = min(1.0, (done + 1e-3) / 0.02)
        set_rate(self.optimizer, peak * warm_up * cosine(done, options.final_rate))

    def _average(self) -> nn.Module:
        network = self.average.module
        assert isinstance(network, nn.Module)
        return network.eval()
