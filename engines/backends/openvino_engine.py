"""OpenVINO on the CPU; computes in bfloat16 where the CPU has it, unless float32 is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from engines.exports import graph_files, network_hash
from engines.graph_runtime import FACE_GRAPH, EngineOptions, GraphRuntime
from engines.machine import features
from rigid.arrays import Array
from rigid.models.contract import Sizes
from rigid.models.engine_cache import EngineCache, EngineKey
from rigid.models.openvino_core import compile_kept, get_shared_core
from rigid.operating_system import count_cores, name_processor

DEVICE = "CPU"
GENERATORS = ("synthesize", FACE_GRAPH)
FEW_CORES = 4
"""Up to so many, a generator takes picture by picture: a batch gains nothing there, and OpenVINO joins and drops more
of a graph whose shapes are all known, a tenth of its time."""


class OpenVinoGraph:
    """One compiled model with its own infer request."""

    def __init__(self, path: Path, options: EngineOptions):
        self._one_by_one = takes_one_by_one(path, options)
        model = _compile(path, options)
        self._request = model.create_infer_request()
        self._inputs = tuple(port.any_name for port in model.inputs)
        self._outputs = tuple(port.any_name for port in model.outputs)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        if not self._one_by_one:
            return self._infer(feeds)
        rows = range(len(next(iter(feeds.values()))))
        answers = [self._infer({name: array[row : row + 1] for name, array in feeds.items()}) for row in rows]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in self._outputs}

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        results = self._request.infer(dict(feeds), share_inputs=True, share_outputs=True)
        # Copied: the request writes its next answer into the same memory.
        return {name: np.array(results[i], np.float32) for i, name in enumerate(self._outputs)}


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`."""
    return GraphRuntime("openvino", sizes, open_all(graph_files(folder, sizes), options))


def open_all(files: Mapping[str, Path], options: EngineOptions) -> dict[str, OpenVinoGraph]:
    """The graphs of `files`, loaded side by side."""
    # The plugin is bound to the thread that loads it, which must outlive it: this one, not one of the pool.
    get_shared_core().get_property(DEVICE, "FULL_DEVICE_NAME")
    with ThreadPoolExecutor(len(files), "load-graph") as pool:
        return dict(zip(files, pool.map(lambda path: OpenVinoGraph(path, options), files.values()), strict=True))


def takes_one_by_one(path: Path, options: EngineOptions) -> bool:
    """Whether the network `path` is compiled for batches of one."""
    return path.name.partition(".")[0] in GENERATORS and (options.threads or count_cores()) <= FEW_CORES


def _compile(path: Path, options: EngineOptions) -> openvino.CompiledModel:
    """The network `path`, from what was kept of it where that is whole and of this machine."""
    if options.kept is None:
        return get_shared_core().compile_model(_read(path, options), DEVICE, _settings(options))
    plans = EngineCache(options.kept / "openvino", "openvino")
    return compile_kept(lambda: _read(path, options), _settings(options), plans, make_engine_key(path, options))


def _read(path: Path, options: EngineOptions) -> openvino.Model:
    model = get_shared_core().read_model(path)
    if takes_one_by_one(path, options):
        model.reshape({port.any_name: [1, *list(port.partial_shape)[1:]] for port in model.inputs})
    return model


def make_engine_key(path: Path, options: EngineOptions) -> EngineKey:
    """What the compiled network `path` is kept under: it is what OpenVINO makes of it for this processor."""
    device = ", ".join((name_processor(), *features()))
    settings = ", ".join(f"{name} {value}" for name, value in sorted(_settings(options).items()))
    settings += ", batches of one" if takes_one_by_one(path, options) else ""
    slot = f"{path.parent.name}/{path.name}"
    return EngineKey(network_hash(path), openvino.get_version(), device, settings, slot)


def _settings(options: EngineOptions) -> dict[str, Any]:
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if options.threads is not None:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    if options.precision == "f32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    return settings
