"""The networks of a profile as the modules that are exported, with the names of their inputs and outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engines.graph_runtime import FACE_GRAPH, PARSE_GRAPH
from export.lean_generator import LeanGenerator
from rigid.assets.store import AssetStore
from rigid.models import inversion
from rigid.models.build import (
    build_generator,
    build_image_encoder,
    build_mapping,
    build_recurrent_encoder,
    find_face_parser,
    mean_code,
    to_arrays,
    to_tensors,
)
from rigid.models.contract import Sizes
from rigid.models.inversion import RecurrentInversion
from rigid.models.mobile_stylegan import MobileStyleGAN
from rigid.models.profiles import has_recurrent_encoder, sizes_of
from rigid.models.stylegan2 import StyleGAN2
from rigid.models.weights import fold_batch_norms

TRUNCATION = 0.7
"""How far from the mean face random faces lie, as a part of where the generator draws them: as cameras see them."""


@dataclass(frozen=True)
class Networks:
    """What a runtime is made of, in eval mode."""

    sizes: Sizes
    image_encoder: nn.Module
    """RGB (B, 3, S, S) → codes (B, n_codes, code_size)."""
    generator: MobileStyleGAN | StyleGAN2
    recurrent_encoder: nn.Module | None = None
    """As `LightRecurrentEncoder`; None where the profile has none yet."""
    faces: Callable[[Tensor], Tensor] | None = None
    """z (B, code_size) → W, codes of faces as the generator draws them; None where it draws none."""
    face_parser: nn.Module | None = None
    """As `FaceParser`; None where it has no weights."""


@dataclass(frozen=True)
class Exportable:
    """A module whose only job is to be exported: positional inputs, a tensor or a tuple of them out."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    """Example inputs, batch first; the batch is dynamic."""
    outputs: tuple[str, ...]


class Inverter(nn.Module):
    """`invert` without a recurrent encoder: the image encoder, its BatchNorms folded into its convolutions.

    It takes no recurrent state: a graph cannot have inputs that nothing uses.
    """

    def __init__(self, image_encoder: nn.Module):
        super().__init__()
        # Held one level down: the exporter cannot have a module called `code`, which the encoder has, at the top.
        self.image_encoder = without_batch_norms(image_encoder)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.image_encoder(inputs)  # type: ignore[no-any-return]


class InBfloat16(nn.Module):
    """A module that computes in bfloat16 between float32 inputs and outputs."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = copy.deepcopy(module).bfloat16()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        answer = self.module(*(value.bfloat16() for value in inputs))
        return answer.float() if isinstance(answer, Tensor) else tuple(value.float() for value in answer)


def in_bfloat16(exportable: Exportable) -> Exportable:
    """Make it bfloat16 throughout, for engines that take a network's types as they are written."""
    return replace(exportable, module=InBfloat16(exportable.module))


def build_networks(profile: str, store: AssetStore) -> Networks:
    """The profile's networks from its weights."""
    recurrent = build_recurrent_encoder(profile) if has_recurrent_encoder(profile) else None
    encoder, generator = build_image_encoder(profile), build_generator(profile, store)
    mapping, mean = build_mapping(store, profile), mean_code(profile)

    return Networks(
        sizes_of(profile),
        encoder,
        generator,
        recurrent,
        lambda z: mean + TRUNCATION * (mapping(z) - mean),
        find_face_parser(),
    )


def exportables(networks: Networks, seed: int = 0, batch: int = 2) -> tuple[Exportable, ...]:
    """All graphs of a runtime that the networks have, with random inputs."""
    sizes = networks.sizes
    random = torch.Generator().manual_seed(seed)
    side = sizes.image_size
    images = torch.rand((batch, 3, side, side), generator=random) * 2 - 1
    noise = 0.1 * torch.randn((batch, *sizes.noise_shape), generator=random)
    feeds = {"codes": _random_codes(networks, images, random), "noise": noise}
    return _invert(networks, images, random), *_synthesize(networks, feeds, random), *_parse(networks, images)


def _synthesize(networks: Networks, feeds: dict[str, Tensor], random: torch.Generator) -> Iterator[Exportable]:
    """`synthesize` and, where the profile has a window, `synthesize_face`."""
    sizes, generator = networks.sizes, networks.generator
    if not isinstance(generator, MobileStyleGAN):
        yield Exportable("synthesize", generator, feeds, ("images",))
        return
    yield Exportable("synthesize", LeanGenerator(generator), feeds, ("images",))
    if sizes.face_window is not None:
        room = torch.tensor(sizes.noise_shape[1:]) - torch.tensor(sizes.face_window)
        corners = (torch.rand((len(feeds["codes"]), 2), generator=random) * (room + 1)).floor()
        yield Exportable(FACE_GRAPH, window_generator(networks), {**feeds, "corners": corners}, ("images",))


def _parse(networks: Networks, images: Tensor) -> Iterator[Exportable]:
    """`parse`, where there is a face parser."""
    if networks.face_parser is not None:
        parser = without_batch_norms(networks.face_parser)
        yield Exportable(PARSE_GRAPH, parser, {"pictures": images}, ("probabilities",))


def window_generator(networks: Networks) -> nn.Module:
    """`synthesize_face` of a profile that has a window."""
    assert isinstance(networks.generator, MobileStyleGAN) and networks.sizes.face_window is not None
    return LeanGenerator(networks.generator, networks.sizes.face_window).eval()


def _random_codes(networks: Networks, images: Tensor, random: torch.Generator) -> Tensor:
    """W+ codes, one for each of `images`, of which no two are the same."""
    with torch.inference_mode():
        codes: Tensor = networks.image_encoder(images)
        if networks.faces is None:
            # of the encoder's own scale
            return codes + codes.std() * torch.randn(codes.shape, generator=random)
        faces = networks.faces(torch.randn((len(images), networks.sizes.code_size), generator=random))
        return faces[:, None] + 0.1 * faces.std() * torch.randn(codes.shape, generator=random)


def _invert(networks: Networks, images: Tensor, random: torch.Generator) -> Exportable:
    if networks.recurrent_encoder is None:
        return Exportable("invert", Inverter(networks.image_encoder), {"inputs": images}, ("codes",))
    pictures = [torch.rand(images.shape, generator=random) * 2 - 1 for _ in range(3)]
    shape = (len(images), *networks.sizes.hidden_shape)
    state = [torch.rand(shape, generator=random) * 2 - 1 for _ in range(2)]
    feeds = dict(zip(inversion.INPUTS, (images, *pictures, *state), strict=True))
    both = RecurrentInversion(*map(without_batch_norms, (networks.image_encoder, networks.recurrent_encoder)))
    return Exportable("invert", both, feeds, inversion.OUTPUTS)


def without_batch_norms(network: nn.Module) -> nn.Module:
    """A copy of `network` (in eval mode) in which no convolution of a `Sequential` is followed by a BatchNorm."""
    folded = copy.deepcopy(network)
    for sequence in [module for module in folded.modules() if isinstance(module, nn.Sequential)]:
        for i in range(len(sequence) - 1):
            convolution = sequence[i]
            if isinstance(convolution, nn.Conv2d) and isinstance(sequence[i + 1], nn.BatchNorm2d):
                convolution.bias = nn.Parameter(torch.empty(convolution.out_channels), requires_grad=False)
                sequence[i + 1] = nn.Identity()
    folded.load_state_dict(to_tensors(fold_batch_norms(to_arrays(network))))
    return folded
