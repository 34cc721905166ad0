"""TensorRT, or TensorRT-RTX: engines run as CUDA graphs on PyTorch's memory, with sessions' state on the GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.backends.tensorrt_library import Library
from engines.backends.tensorrt_plans import Plans
from engines.cuda_runtime import DeviceGraph, DeviceRuntime
from engines.device_copies import DeviceCopies
from engines.exports import HALF, WHOLE, gpu_graph_files
from engines.graph_runtime import EngineError, EngineOptions, GraphRuntime
from engines.nvidia import gpu_problem
from rigid.models.contract import Sizes


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`; builds what is not kept for this GPU: TensorRT for minutes, RTX for seconds.

    EngineError without a GPU that can be used.
    """
    problem = None if torch.cuda.is_available() else gpu_problem()
    if problem is not None:
        raise EngineError(f"The engine {options.engine} cannot run here: {problem}")
    plans, gpu = Plans(Library(options.engine), options.kept), torch.cuda.get_device_name()
    device_copies = DeviceCopies()

    def open_one(path: Path) -> DeviceGraph:
        engine = plans.open(path, gpu)
        learnt = plans.read_learnt(path, gpu)
        call = _Call(plans.library, engine, learnt, lambda data: plans.keep_learnt(path, gpu, data))
        return DeviceGraph(call, call.inputs, device_copies)

    graphs = {name: open_one(path) for name, path in _files(folder, options).items()}
    return DeviceRuntime(options.engine, sizes, graphs)


def is_built(folder: Path, options: EngineOptions) -> bool:
    """Whether engines for the networks in `folder` are kept that fit this GPU, so that opening is quick."""
    try:
        plans, gpu = Plans(Library(options.engine), options.kept), torch.cuda.get_device_name()
    except EngineError:
        return False
    return all(plans.is_built(path, gpu) for path in _files(folder, options).values())


def _files(folder: Path, options: EngineOptions) -> dict[str, Path]:
    return gpu_graph_files(folder, WHOLE if options.precision == "f32" else HALF)


class _Call:
    """One engine and its context, on PyTorch's memory and stream."""

    def __init__(self, library: Library, engine: Any, learnt: bytes, keep_learnt: Callable[[bytes], None]):
        """`learnt`: what `keep_learnt` was given at an earlier start; nothing at the first."""
        self._library, self._keep_learnt, self._made = library, keep_learnt, library.make_context(engine, learnt)
        self._context = self._made.context
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        kind = library.trt.TensorIOMode.INPUT
        self.inputs = tuple(name for name in names if engine.get_tensor_mode(name) == kind)
        self._outputs = tuple(name for name in names if name not in self.inputs)
        self._written: dict[int, dict[str, Tensor]] = {}

    def __call__(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        batch = len(given[self.inputs[0]])
        for name in self.inputs:
            self._context.set_input_shape(name, tuple(given[name].shape))
            self._context.set_tensor_address(name, given[name].data_ptr())
        is_new = batch not in self._written
        if is_new:
            self._written[batch] = {name: self._memory(name) for name in self._outputs}
        for name, value in self._written[batch].items():
            self._context.set_tensor_address(name, value.data_ptr())
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError(f"The engine {self._library.name} could not run: {self._library.log.last}.")
        if is_new and self._made.cache is not None:
            self._keep_learnt(bytes(self._made.cache.serialize()))
        return self._written[batch]

    def _memory(self, name: str) -> Tensor:
        return torch.empty(tuple(self._context.get_tensor_shape(name)), dtype=torch.float32, device="cuda")
