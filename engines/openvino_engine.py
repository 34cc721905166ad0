"""OpenVINO on the CPU; computes in bfloat16 where the CPU has it, unless float32 is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engines.base import EngineOptions, GraphRuntime
from engines.files import graph_files
from rigid.models.contract import Array, Sizes
from rigid.models.openvino_core import shared_core


class OpenVinoGraph:
    """One compiled model with its own infer request."""

    def __init__(self, path: Path, options: EngineOptions):
        model = shared_core().compile_model(path, "CPU", _settings(options))
        self._request = model.create_infer_request()
        self._inputs = tuple(port.any_name for port in model.inputs)
        self._outputs = tuple(port.any_name for port in model.outputs)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        results = self._request.infer(dict(feeds), share_inputs=True)
        # Copied: the request writes its next answer into the same memory.
        return {name: np.array(results[i], np.float32) for i, name in enumerate(self._outputs)}


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`."""
    return GraphRuntime("openvino", sizes, *(OpenVinoGraph(path, options) for path in graph_files(folder, sizes)))


def _settings(options: EngineOptions) -> dict[str, Any]:
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if options.threads is not None:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    if options.precision == "f32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    return settings
