"""The networks of a profile as the modules that are exported, with the names of their inputs and outputs."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export.lean_generator import LeanGenerator
from rigid.assets import AssetStore
from rigid.models import inversion
from rigid.models.build import (
    build_generator,
    build_image_encoder,
    build_recurrent_encoder,
    has_recurrent_encoder,
    sizes_of,
)
from rigid.models.contract import Sizes
from rigid.models.inversion import RecurrentInversion
from rigid.models.mobile_stylegan import MobileStyleGAN
from rigid.models.stylegan2 import StyleGAN2


@dataclass(frozen=True)
class Networks:
    """What a runtime is made of, in eval mode."""

    sizes: Sizes
    image_encoder: nn.Module
    """RGB (B, 3, S, S) → codes (B, n_codes, code_size)."""
    generator: MobileStyleGAN | StyleGAN2
    recurrent_encoder: nn.Module | None = None
    """As `LightRecurrentEncoder`; None where the profile has none yet."""


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
        self.image_encoder = fold_batch_norms(image_encoder)

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
    """For engines that take a network's types as they are written."""
    return replace(exportable, module=InBfloat16(exportable.module))


def build_networks(profile: str, store: AssetStore) -> Networks:
    """The profile's networks from its weights."""
    recurrent = build_recurrent_encoder(profile) if has_recurrent_encoder(profile) else None
    return Networks(sizes_of(profile), build_image_encoder(profile), build_generator(profile, store), recurrent)


def exportables(networks: Networks, seed: int = 0, batch: int = 2) -> tuple[Exportable, Exportable]:
    """`invert` and `synthesize` with random inputs."""
    sizes = networks.sizes
    random = torch.Generator().manual_seed(seed)
    side = sizes.image_size
    images = torch.rand((batch, 3, side, side), generator=random) * 2 - 1
    noise = 0.1 * torch.randn((batch, *sizes.noise_shape), generator=random)
    with torch.inference_mode():
        codes = networks.image_encoder(images)
    # Codes of the encoder's own scale, of which no two are the same.
    codes = codes + codes.std() * torch.randn(codes.shape, generator=random)
    feeds = {"codes": codes, "noise": noise}
    generator = networks.generator
    lean = LeanGenerator(generator) if isinstance(generator, MobileStyleGAN) else generator
    return (
        _invert(networks, images, random),
        Exportable("synthesize", lean, feeds, ("images",)),
    )


def _invert(networks: Networks, images: Tensor, random: torch.Generator) -> Exportable:
    if networks.recurrent_encoder is None:
        return Exportable("invert", Inverter(networks.image_encoder), {"inputs": images}, ("codes",))
    pictures = [torch.rand(images.shape, generator=random) * 2 - 1 for _ in range(3)]
    shape = (len(images), *networks.sizes.hidden_shape)
    state = [torch.rand(shape, generator=random) * 2 - 1 for _ in range(2)]
    feeds = dict(zip(inversion.INPUTS, (images, *pictures, *state), strict=True))
    both = RecurrentInversion(*map(fold_batch_norms, (networks.image_encoder, networks.recurrent_encoder)))
    return Exportable("invert", both, feeds, inversion.OUTPUTS)


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """A copy of `network` (in eval mode) in which no convolution of a `Sequential` is followed by a BatchNorm."""
    network = copy.deepcopy(network)
    for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for i in range(len(sequence) - 1):
            convolution, norm = sequence[i], sequence[i + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[i], sequence[i + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network
