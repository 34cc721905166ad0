"""ONNX Runtime: float32 on the CPU; on an NVIDIA GPU by TensorRT or CUDA, where its build has those providers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import onnxruntime

from engines.exports import graph_files
from engines.graph_runtime import EngineOptions, GraphRuntime
from rigid.arrays import Array
from rigid.models.contract import Sizes

logger = logging.getLogger(__name__)
ONLY_ERRORS = 3
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
Provider = tuple[str, dict[str, object]]
"""Its name and its options."""


class OnnxRuntimeGraph:
    """One inference session."""

    def __init__(self, path: Path, settings: onnxruntime.SessionOptions, providers: list[Provider] | None = None):
        """`providers`: None where `settings` name a device themselves."""
        self._session = onnxruntime.InferenceSession(path, settings, providers=providers)
        self._inputs = tuple(port.name for port in self._session.get_inputs())
        self._outputs = tuple(port.name for port in self._session.get_outputs())

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    @property
    def providers(self) -> tuple[str, ...]:
        """What it runs on, best first."""
        return tuple(self._session.get_providers())

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._outputs, self._session.run(None, dict(feeds)), strict=True))


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`."""
    providers = choose_providers(tuple(onnxruntime.get_available_providers()), folder.parent.parent, options)
    return GraphRuntime("onnxruntime", sizes, open_on(providers, graph_files(folder, sizes), options))


def open_on(
    providers: list[Provider], files: Mapping[str, Path], options: EngineOptions
) -> dict[str, OnnxRuntimeGraph]:
    """The graphs of `files` on `providers`, best first; where some cannot be had, the log tells."""
    graphs = {name: OnnxRuntimeGraph(path, _settings(options), providers) for name, path in files.items()}
    used = graphs["invert"].providers
    missing = {provider for provider, _ in providers} - set(used)
    if missing:
        logger.warning("engine onnxruntime: no %s here; it runs on %s", ", ".join(sorted(missing)), ", ".join(used))
    return graphs


def choose_providers(available: tuple[str, ...], cache: Path, options: EngineOptions) -> list[Provider]:
    """Choose from the `available` providers, best first, with their options; `cache`: where engines are kept."""
    half = options.precision != "f32"
    kept = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache / "onnxruntime-tensorrt")}
    timing = {"trt_timing_cache_enable": True, "trt_timing_cache_path": str(cache / "onnxruntime-tensorrt")}
    of_provider: dict[str, dict[str, object]] = {
        TENSORRT: {"trt_bf16_enable": half, **kept, **timing},
        CUDA: {"use_tf32": half},
        CPU: {},
    }
    return [(name, of_provider[name]) for name in of_provider if name in available]


def _settings(options: EngineOptions) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = ONLY_ERRORS
    settings.intra_op_num_threads = options.threads or 0
    # Waiting threads would otherwise spin, and take a core from landmarks, blending and the video codec.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return settings
