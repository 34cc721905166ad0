"""ONNX Runtime with NVIDIA's TensorRT-RTX plug-in: the TensorRT that installs from one package, for RTX cards."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import onnxruntime_ep_nv_tensorrt_rtx as plugin

from engines.backends.onnxruntime_engine import ONLY_ERRORS, OnnxRuntimeGraph
from engines.exports import HALF, WHOLE, gpu_graph_files
from engines.graph_runtime import EngineError, EngineOptions, GraphRuntime
from rigid.models.contract import Sizes

REGISTERED = "tensorrt-rtx"


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`."""
    files = gpu_graph_files(folder, WHOLE if options.precision == "f32" else HALF)
    cache = folder.parent.parent / "tensorrt-rtx"
    cache.mkdir(parents=True, exist_ok=True)
    graphs = {name: OnnxRuntimeGraph(path, _settings(cache)) for name, path in files.items()}
    return GraphRuntime("tensorrt-rtx", sizes, graphs)


def _settings(cache: Path) -> onnxruntime.SessionOptions:
    """On the first RTX card; EngineError without one."""
    provider = plugin.get_ep_name()
    if not any(device.ep_name == provider for device in onnxruntime.get_ep_devices()):
        onnxruntime.register_execution_provider_library(REGISTERED, plugin.get_library_path())
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == provider]
    if not devices:
        raise EngineError("The engine tensorrt-rtx needs an NVIDIA RTX card, and none is there; choose another engine.")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = ONLY_ERRORS
    settings.add_provider_for_devices(devices[:1], {"nv_runtime_cache_path": str(cache)})
    return settings
