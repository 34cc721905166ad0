"""TensorRT 11, native: engines built once for this GPU and kept, run as CUDA graphs.

TensorRT 11 takes a network's types as they are written (`BuilderFlag` has no precisions any more), so that half
precision comes from the file: `*.bf16.onnx`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import tensorrt as trt
import torch
from torch import Tensor

from engines.cuda_runtime import DeviceGraph, DeviceRuntime
from engines.device_copies import DeviceCopies
from engines.exports import HALF, WHOLE, gpu_graph_files, network_hash
from engines.graph_runtime import EngineError, EngineOptions, GraphRuntime
from rigid.models.contract import Sizes
from rigid.models.engine_cache import EngineCache, EngineKey

logger = logging.getLogger(__name__)

MOST_BATCH = 32
USUAL_BATCH = 4
WORKSPACE_BYTES = 4 << 30


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`; builds, for minutes, what is not kept for this GPU and version yet."""
    if not torch.cuda.is_available():
        raise EngineError("The engine tensorrt needs an NVIDIA GPU, and none is there; choose openvino or onnxruntime.")
    files = gpu_graph_files(folder, WHOLE if options.precision == "f32" else HALF)
    plans = EngineCache(folder.parent.parent / "plans")
    device_copies = DeviceCopies()
    graphs = {name: _open(path, plans, device_copies) for name, path in files.items()}
    return DeviceRuntime("tensorrt", sizes, graphs)


def is_built(folder: Path) -> bool:
    """Whether the engines for the networks in `folder` are kept for this GPU and version, so that opening is quick."""
    plans = EngineCache(folder.parent.parent / "plans")
    paths = gpu_graph_files(folder, HALF).values()
    return all(path.is_file() and plans.read(make_engine_key(path)) is not None for path in paths)


def make_engine_key(path: Path) -> EngineKey:
    """What an engine for the network `path` on this machine is kept under."""
    precision = "bf16" if path.name.endswith(".bf16.onnx") else "f32"
    settings = f"{precision}, batches to {MOST_BATCH}"
    return EngineKey(network_hash(path), str(trt.__version__), torch.cuda.get_device_name(), settings)


def _open(path: Path, plans: EngineCache, device_copies: DeviceCopies) -> DeviceGraph:
    key = make_engine_key(path)
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    kept = plans.read(key)
    engine = None if kept is None else runtime.deserialize_cuda_engine(kept)
    if engine is None:
        if kept is not None:
            plans.set_aside(key, "TensorRT cannot read it")
        built = build(path, plans, key)
        engine = runtime.deserialize_cuda_engine(built)
        if engine is None:
            raise EngineError(f"TensorRT cannot read the engine it built for {path.name}.")
    call = _Call(engine)
    return DeviceGraph(call, call.inputs, device_copies)


def build(path: Path, plans: EngineCache, key: EngineKey) -> bytes:
    """Build an engine for the network `path` and keep it; EngineError where TensorRT cannot."""
    logger.warning("engine tensorrt: %s is built for %s; this takes minutes, once", path.name, key.device)
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network()
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(path)):
        reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise EngineError(f"TensorRT cannot read {path.name}: {reasons}.")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.add_optimization_profile(_profile(builder, network))
    timing = config.create_timing_cache(plans.timing_cache(key.version, key.device))
    config.set_timing_cache(timing, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"TensorRT cannot build an engine for {path.name}; its log says why.")
    plans.keep_timing_cache(key.version, key.device, bytes(config.get_timing_cache().serialize()))
    data = bytes(plan)
    plans.write(key, data)
    return data


def _profile(builder: Any, network: Any) -> Any:
    """Batches from one to `MOST_BATCH`."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        given = network.get_input(i)
        rest = tuple(given.shape)[1:]
        profile.set_shape(given.name, (1, *rest), (USUAL_BATCH, *rest), (MOST_BATCH, *rest))
    return profile


class _Call:
    """One engine and its context, on PyTorch's memory and stream."""

    def __init__(self, engine: Any):
        self._engine = engine
        self._context = engine.create_execution_context()
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        self.inputs = tuple(name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT)
        self._outputs = tuple(name for name in names if name not in self.inputs)
        self._written: dict[int, dict[str, Tensor]] = {}

    def __call__(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        batch = len(given[self.inputs[0]])
        for name in self.inputs:
            self._context.set_input_shape(name, tuple(given[name].shape))
            self._context.set_tensor_address(name, given[name].data_ptr())
        if batch not in self._written:
            self._written[batch] = {name: self._memory(name) for name in self._outputs}
        for name, value in self._written[batch].items():
            self._context.set_tensor_address(name, value.data_ptr())
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError("TensorRT could not run its engine; its log says why.")
        return self._written[batch]

    def _memory(self, name: str) -> Tensor:
        return torch.empty(tuple(self._context.get_tensor_shape(name)), dtype=torch.float32, device="cuda")
