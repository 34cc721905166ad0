"""ONNX Runtime on the CPU, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnxruntime

from engines.base import EngineOptions, GraphRuntime
from rigid.models.contract import Array, Sizes

ONLY_ERRORS = 3


class OnnxRuntimeGraph:
    """One inference session."""

    def __init__(self, path: Path, options: EngineOptions):
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = ONLY_ERRORS
        settings.intra_op_num_threads = options.threads or 0
        # Waiting threads would otherwise spin, and take a core from landmarks, blending and the video codec.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        self._inputs = tuple(port.name for port in self._session.get_inputs())
        self._outputs = tuple(port.name for port in self._session.get_outputs())

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._outputs, self._session.run(None, dict(feeds)), strict=True))


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`."""
    invert, synthesize = (OnnxRuntimeGraph(folder / f"{name}.onnx", options) for name in ("invert", "synthesize"))
    return GraphRuntime("onnxruntime", sizes, invert, synthesize)
