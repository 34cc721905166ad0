"""Torch-TensorRT: the eager networks compiled for this GPU, without exported files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch_tensorrt
from torch import Tensor, nn

from engines.backends.torch_engine import Part, network_parts
from engines.cuda_runtime import DeviceGraph, DeviceRuntime
from engines.device_copies import DeviceCopies
from engines.graph_runtime import EngineError, EngineOptions, GraphRuntime
from rigid.assets.store import AssetStore
from rigid.models.contract import Sizes
from rigid.models.profiles import sizes_of

MOST_BATCH = 32
USUAL_BATCH = 4


def load(profile: str, store: AssetStore, options: EngineOptions) -> GraphRuntime:
    """The profile's networks from its weights; compiling takes minutes, and is kept in the store's cache."""
    return open_parts(
        network_parts(profile, store), sizes_of(profile), str(store.cache_dir / "torch-tensorrt"), options
    )


def open_parts(parts: Mapping[str, Part], sizes: Sizes, kept: str, options: EngineOptions) -> GraphRuntime:
    """`parts` compiled, and kept in the folder `kept`."""
    if not torch.cuda.is_available():
        raise EngineError("The engine torch-tensorrt needs an NVIDIA GPU, and none is there; choose another engine.")
    half = options.precision != "f32"
    device_copies = DeviceCopies()
    graphs = {name: _compile(part, kept, device_copies, half=half) for name, part in parts.items()}
    return DeviceRuntime("torch-tensorrt", sizes, graphs)


def _compile(part: Part, kept: str, device_copies: DeviceCopies, *, half: bool) -> DeviceGraph:
    examples = tuple(torch.zeros((USUAL_BATCH, *shape), device="cuda") for shape in part.shapes)
    batch = torch.export.Dim("batch", min=1, max=MOST_BATCH)
    module = part.module.cuda().eval()
    program = torch.export.export(module, examples, dynamic_shapes=tuple({0: batch} for _ in examples), strict=False)
    compiled: nn.Module = torch_tensorrt.dynamo.compile(
        program,
        arg_inputs=[_input(shape) for shape in part.shapes],
        enable_autocast=half,
        autocast_low_precision_type=torch.bfloat16 if half else None,
        cache_built_engines=True,
        reuse_cached_engines=True,
        engine_cache_dir=kept,
    )

    def call(given: dict[str, Tensor]) -> dict[str, Tensor]:
        answer = compiled(*(given[name] for name in part.inputs))
        answers = (answer,) if isinstance(answer, Tensor) else answer
        return dict(zip(part.outputs, answers, strict=True))

    return DeviceGraph(call, part.inputs, device_copies)


def _input(shape: tuple[int, ...]) -> Any:
    return torch_tensorrt.Input(
        min_shape=(1, *shape), opt_shape=(USUAL_BATCH, *shape), max_shape=(MOST_BATCH, *shape), dtype=torch.float32
    )
