"""PyTorch eager, in float32: the reference the other engines are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from engines.base import EngineOptions, GraphRuntime
from rigid.assets import AssetStore
from rigid.models import inversion
from rigid.models.build import (
    build_generator,
    build_image_encoder,
    build_recurrent_encoder,
    has_recurrent_encoder,
    sizes_of,
)
from rigid.models.contract import Array, Sizes
from rigid.models.inversion import RecurrentInversion


class ModuleGraph:
    """Calls a function of tensors, without gradients."""

    def __init__(
        self,
        function: Callable[..., Tensor | tuple[Tensor, ...]],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
    ):
        self._function = function
        self._inputs = inputs
        self._outputs = outputs

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        with torch.inference_mode():
            answer = self._function(*(torch.from_numpy(feeds[name]) for name in self._inputs))
        answers = (answer,) if isinstance(answer, Tensor) else answer
        return {name: value.numpy() for name, value in zip(self._outputs, answers, strict=True)}


def open_networks(
    image_encoder: nn.Module,
    generator: nn.Module,
    sizes: Sizes,
    options: EngineOptions,
    *,
    recurrent_encoder: nn.Module | None = None,
) -> GraphRuntime:
    """Networks as they are, in eval mode. PyTorch's thread count belongs to the process: `threads` sets it for all."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if recurrent_encoder is None:
        invert = ModuleGraph(image_encoder, ("inputs",), ("codes",))
    else:
        both = RecurrentInversion(image_encoder, recurrent_encoder)
        invert = ModuleGraph(both, inversion.INPUTS, inversion.OUTPUTS)
    return GraphRuntime("torch", sizes, invert, ModuleGraph(generator, ("codes", "noise"), ("images",)))


def load(profile: str, store: AssetStore, options: EngineOptions) -> GraphRuntime:
    """The profile's networks from its weights."""
    encoder, generator = build_image_encoder(profile), build_generator(profile, store)
    recurrent = build_recurrent_encoder(profile) if has_recurrent_encoder(profile) else None
    return open_networks(encoder, generator, sizes_of(profile), options, recurrent_encoder=recurrent)
