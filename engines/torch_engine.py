"""PyTorch eager, in float32: the reference the other engines are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from engines.base import EngineOptions, GraphRuntime
from rigid.assets import AssetStore
from rigid.models.build import build_generator, build_image_encoder, sizes_of
from rigid.models.contract import Array, Sizes


class ModuleGraph:
    """Calls a function of tensors, without gradients."""

    def __init__(self, function: Callable[..., Tensor], inputs: tuple[str, ...], output: str):
        self._function = function
        self._inputs = inputs
        self._output = output

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        with torch.inference_mode():
            answer: Array = self._function(*(torch.from_numpy(feeds[name]) for name in self._inputs)).numpy()
        return {self._output: answer}


def open_networks(image_encoder: nn.Module, generator: nn.Module, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """Networks as they are, in eval mode. PyTorch's thread count belongs to the process: `threads` sets it for all."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    invert = ModuleGraph(image_encoder, ("inputs",), "codes")
    return GraphRuntime("torch", sizes, invert, ModuleGraph(generator, ("codes", "noise"), "images"))


def load(profile: str, store: AssetStore, options: EngineOptions) -> GraphRuntime:
    """The profile's networks from its weights."""
    return open_networks(build_image_encoder(profile), build_generator(profile, store), sizes_of(profile), options)
