"""OpenVINO on the CPU; computes in bfloat16 where the CPU has it, unless float32 is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from engines.exports import graph_files, network_hash
from engines.graph_runtime import FACE_GRAPH, PARSE_GRAPH, EngineOptions, GraphRuntime
from engines.machine import features
from rigid.arrays import Array
from rigid.models.contract import Sizes
from rigid.models.engine_cache import EngineCache, EngineKey
from rigid.models.openvino_core import compile_kept, get_shared_core
from rigid.operating_system import count_cores, name_processor

DEVICE = "CPU"
SIDE_BY_SIDE = (FACE_GRAPH, PARSE_GRAPH)
"""Of what is asked for several pictures at most frames. Each on a core of its own waits for no other at every layer."""
ONE_BY_ONE = ("synthesize", *SIDE_BY_SIDE)
FEW_CORES = 4
"""Up to so many, these take picture by picture: a batch gains nothing there, and OpenVINO joins and drops more of a
graph whose shapes are all known, a tenth of a generator's time."""


class OpenVinoGraph:
    """One network with its own infer request, and maybe one more for each core, for pictures side by side."""

    def __init__(self, path: Path, options: EngineOptions):
        self._one_by_one = takes_one_by_one(path, options)
        model = _compile(path, options, _settings(options))
        self._request = model.create_infer_request()
        self._inputs = tuple(port.any_name for port in model.inputs)
        self._outputs = tuple(port.any_name for port in model.outputs)
        self._beside: list[openvino.InferRequest] = []
        if takes_side_by_side(path, options):
            beside = _compile(path, options, _settings_side_by_side(options))
            self._beside = [beside.create_infer_request() for _ in range(_count_threads(options))]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        if not self._one_by_one:
            return self._infer(feeds)
        count, together = len(next(iter(feeds.values()))), max(1, len(self._beside))
        rows = [{name: array[row : row + 1] for name, array in feeds.items()} for row in range(count)]
        parts = [rows[first : first + together] for first in range(0, count, together)]
        answers = [answer for part in parts for answer in self._infer_each(part)]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in self._outputs}

    def _infer_each(self, rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """The answers to `rows`: one with all cores, several on a core each."""
        if len(rows) == 1:
            return [self._infer(rows[0])]
        requests = self._beside[: len(rows)]
        # whatever fails, all are waited for, as they read the callers' memory
        with ExitStack() as running:
            for request, feeds in zip(requests, rows, strict=True):
                request.start_async(dict(feeds), share_inputs=True)
                running.callback(request.wait)
        return [self._read(request) for request in requests]

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self._request.infer(dict(feeds), share_inputs=True, share_outputs=True)
        return self._read(self._request)

    def _read(self, request: openvino.InferRequest) -> dict[str, Array]:
        # Copied: the request writes its next answer into the same memory.
        return {name: np.array(request.get_output_tensor(i).data, np.float32) for i, name in enumerate(self._outputs)}


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
    return _name(path) in ONE_BY_ONE and _count_threads(options) <= FEW_CORES


def takes_side_by_side(path: Path, options: EngineOptions) -> bool:
    """Whether the network `path` is compiled a second time, for several pictures on a core each."""
    return _name(path) in SIDE_BY_SIDE and 1 < _count_threads(options) <= FEW_CORES


def _name(path: Path) -> str:
    return path.name.partition(".")[0]


def _count_threads(options: EngineOptions) -> int:
    return options.threads or count_cores()


def _compile(path: Path, options: EngineOptions, settings: Mapping[str, Any]) -> openvino.CompiledModel:
    """The network `path`, from what was kept of it where that is whole and of this machine."""
    if options.kept is None:
        return get_shared_core().compile_model(_read(path, options), DEVICE, settings)
    plans = EngineCache(options.kept / "openvino", "openvino")
    return compile_kept(lambda: _read(path, options), settings, plans, make_engine_key(path, options, settings))


def _read(path: Path, options: EngineOptions) -> openvino.Model:
    model = get_shared_core().read_model(path)
    if takes_one_by_one(path, options):
        model.reshape({port.any_name: [1, *list(port.partial_shape)[1:]] for port in model.inputs})
    return model


def make_engine_key(path: Path, options: EngineOptions, settings: Mapping[str, Any] | None = None) -> EngineKey:
    """What the compiled network `path` is kept under: it is what OpenVINO makes of it for this processor."""
    device = ", ".join((name_processor(), *features()))
    given = ", ".join(f"{name} {value}" for name, value in sorted((settings or _settings(options)).items()))
    given += ", batches of one" if takes_one_by_one(path, options) else ""
    slot = f"{path.parent.name}/{path.name}"
    return EngineKey(network_hash(path), openvino.get_version(), device, given, slot)


def _settings(options: EngineOptions) -> dict[str, Any]:
    # Bound to a core, a thread waits for whatever else runs there, and all others for it.
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
    if options.threads is not None:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    if options.precision == "f32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    return settings


def _settings_side_by_side(options: EngineOptions) -> dict[str, Any]:
    count = _count_threads(options)
    streams = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": count, "INFERENCE_NUM_THREADS": count}
    return _settings(options) | streams
