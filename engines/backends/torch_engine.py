"""PyTorch eager, in float32: the reference the other engines are compared with. On an NVIDIA GPU, CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from engines.graph_runtime import PARSE_GRAPH, EngineOptions, Feeds, GraphRuntime
from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.models import inversion
from rigid.models.build import build_generator, build_image_encoder, build_recurrent_encoder, find_face_parser
from rigid.models.contract import Sizes
from rigid.models.inversion import RecurrentInversion
from rigid.models.profiles import has_recurrent_encoder, sizes_of


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

    def run(self, feeds: Feeds) -> dict[str, Array]:
        with torch.inference_mode():
            # PyTorch warns of arrays it could not write to.
            given = (np.require(feeds[name], requirements=["W"]) for name in self._inputs)
            answer = self._function(*map(torch.from_numpy, given))
        answers = (answer,) if isinstance(answer, Tensor) else answer
        return {name: value.numpy() for name, value in zip(self._outputs, answers, strict=True)}


@dataclass(frozen=True)
class Part:
    """A graph as a module, with the names of what goes in and comes out."""

    module: nn.Module
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    """Of the inputs, less the batch."""
    outputs: tuple[str, ...]


def open_networks(
    image_encoder: nn.Module,
    generator: nn.Module,
    sizes: Sizes,
    options: EngineOptions,
    *,
    recurrent_encoder: nn.Module | None = None,
    face_parser: nn.Module | None = None,
) -> GraphRuntime:
    """Networks as they are, in eval mode. PyTorch's thread count belongs to the process: `threads` sets it for all."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return _eager(parts_of(image_encoder, generator, sizes, recurrent_encoder, face_parser), sizes)


def parts_of(
    image_encoder: nn.Module,
    generator: nn.Module,
    sizes: Sizes,
    recurrent_encoder: nn.Module | None,
    face_parser: nn.Module | None,
) -> dict[str, Part]:
    """`invert`, `synthesize` and, with a face parser, `parse`."""
    picture = (3, sizes.image_size, sizes.image_size)
    if recurrent_encoder is None:
        invert = Part(image_encoder, ("inputs",), (picture,), ("codes",))
    else:
        both = RecurrentInversion(image_encoder, recurrent_encoder)
        shapes = (*(picture for _ in range(4)), sizes.hidden_shape, sizes.hidden_shape)
        invert = Part(both, inversion.INPUTS, shapes, inversion.OUTPUTS)
    codes = (sizes.n_codes, sizes.code_size)
    synthesize = Part(generator, ("codes", "noise"), (codes, sizes.noise_shape), ("images",))
    parts = {"invert": invert, "synthesize": synthesize}
    if face_parser is not None:
        parts[PARSE_GRAPH] = Part(face_parser, ("pictures",), (picture,), ("probabilities",))
    return parts


def network_parts(profile: str, store: AssetStore) -> dict[str, Part]:
    """The profile's networks from its weights."""
    encoder, generator = build_image_encoder(profile), build_generator(profile, store)
    recurrent = build_recurrent_encoder(profile) if has_recurrent_encoder(profile) else None
    return parts_of(encoder, generator, sizes_of(profile), recurrent, find_face_parser())


def load(profile: str, store: AssetStore, options: EngineOptions) -> GraphRuntime:
    """The profile's networks from its weights, on an NVIDIA GPU where there is one."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    parts = network_parts(profile, store)
    if torch.cuda.is_available():
        return on_gpu(parts, sizes_of(profile), options)
    return _eager(parts, sizes_of(profile))


def _eager(parts: Mapping[str, Part], sizes: Sizes) -> GraphRuntime:
    graphs = {name: ModuleGraph(part.module, part.inputs, part.outputs) for name, part in parts.items()}
    return GraphRuntime("torch", sizes, graphs)


def on_gpu(parts: Mapping[str, Part], sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """`parts` as CUDA graphs, channels last and in bfloat16 where it keeps enough, unless float32 is asked for."""
    from engines.cuda_runtime import DeviceGraph, DeviceRuntime
    from engines.device_copies import DeviceCopies

    device_copies = DeviceCopies()

    def call_of(part: Part) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
        module = part.module.cuda().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def call(given: dict[str, Tensor]) -> dict[str, Tensor]:
            # The cache of cast weights would be filled inside a capture and be gone after it.
            with torch.autocast("cuda", torch.bfloat16, enabled=options.precision != "f32", cache_enabled=False):
                answer = module(*(given[name] for name in part.inputs))
            answers = (answer,) if isinstance(answer, Tensor) else answer
            return dict(zip(part.outputs, answers, strict=True))

        return call

    graphs = {name: DeviceGraph(call_of(part), part.inputs, device_copies) for name, part in parts.items()}
    return DeviceRuntime("torch", sizes, graphs)
