"""OpenVINO on the CPU; computes in bfloat16 where the CPU has it, unless float32 is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import openvino

from engines.backends.openvino_graphs import WideGraph
from engines.exports import graph_files, network_hash
from engines.graph_runtime import FACE_GRAPH, PARSE_GRAPH, EngineOptions, Graph, GraphRuntime
from engines.machine import features
from rigid.models.contract import Sizes
from rigid.models.engine_cache import EngineCache, EngineKey
from rigid.models.openvino_core import compile_kept, get_shared_core, list_instruction_bounds
from rigid.operating_system import count_cores, name_processor

DEVICE = "CPU"
SIDE_BY_SIDE = (FACE_GRAPH, PARSE_GRAPH)
"""Of what is asked for several pictures at most frames. Each on a core of its own waits for no other at every layer."""
ONE_BY_ONE = ("invert", "synthesize", *SIDE_BY_SIDE)
FEW_CORES = 4
"""Up to so many, these take picture by picture: a batch gains nothing there, and OpenVINO joins and drops more of a
graph whose shapes are all known, a tenth of a generator's time."""
Settings = Mapping[str, Any]


class OpenVinoRuntime(GraphRuntime):
    """Graphs of OpenVINO, which on few cores may run on each of them at once."""

    def __init__(self, name: str, sizes: Sizes, graphs: Mapping[str, WideGraph], options: EngineOptions):
        super().__init__(name, sizes, graphs)
        self._own: Mapping[str, WideGraph] = graphs
        self._cores = _count_threads(options)

    def open_cores(self) -> list[GraphRuntime]:
        """See `engines.side_by_side.CoresRuntime`."""
        if not any(graph.open_for_core() for graph in self._own.values()):
            return []
        return [self._open_core() for _ in range(self._cores)]

    def close(self) -> None:
        super().close()
        self._own = {}

    def _open_core(self) -> GraphRuntime:
        narrow: dict[str, Graph | None] = {name: graph.open_for_core() for name, graph in self._own.items()}
        return GraphRuntime(self.name, self.sizes, {name: graph for name, graph in narrow.items() if graph is not None})


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`."""
    return OpenVinoRuntime("openvino", sizes, open_all(graph_files(folder, sizes), options), options)


def open_all(files: Mapping[str, Path], options: EngineOptions) -> dict[str, WideGraph]:
    """The graphs of `files`, loaded side by side."""
    # The plugin is bound to the thread that loads it, which must outlive it: this one, not one of the pool.
    get_shared_core().get_property(DEVICE, "FULL_DEVICE_NAME")
    with ThreadPoolExecutor(len(files), "load-graph") as pool:
        return dict(zip(files, pool.map(lambda path: open_graph(path, options), files.values()), strict=True))


def open_graph(path: Path, options: EngineOptions) -> WideGraph:
    """One network; on few cores a second time for one core each, where several pictures are asked for."""
    wide = _compile(path, options, _settings(options))
    beside = 1 < _count_threads(options) <= FEW_CORES and _name(path) in SIDE_BY_SIDE
    narrow = _compile(path, options, _settings_side_by_side(options)) if beside else None
    return WideGraph(wide, narrow, _count_threads(options), one_by_one=takes_one_by_one(path, options))


def takes_one_by_one(path: Path, options: EngineOptions) -> bool:
    """Whether the network `path` is compiled for batches of one."""
    return _name(path) in ONE_BY_ONE and _count_threads(options) <= FEW_CORES


def _name(path: Path) -> str:
    return path.name.partition(".")[0]


def _count_threads(options: EngineOptions) -> int:
    return options.threads or count_cores()


def _compile(path: Path, options: EngineOptions, settings: Settings) -> openvino.CompiledModel:
    """The network `path`, from what was kept of it where that is whole and of this machine."""
    read = partial(_read, path, one_by_one=takes_one_by_one(path, options))
    if options.kept is None:
        return get_shared_core().compile_model(read(), DEVICE, settings)
    plans = EngineCache(options.kept / "openvino", "openvino")
    return compile_kept(read, settings, plans, make_engine_key(path, options, settings))


def _read(path: Path, *, one_by_one: bool) -> openvino.Model:
    model = get_shared_core().read_model(path)
    if one_by_one:
        model.reshape({port.any_name: [1, *list(port.partial_shape)[1:]] for port in model.inputs})
    return model


def make_engine_key(path: Path, options: EngineOptions, settings: Settings | None = None) -> EngineKey:
    """What the compiled network `path` is kept under: what OpenVINO makes of it here."""
    device = ", ".join((name_processor(), *features(), *list_instruction_bounds()))
    given = ", ".join(f"{name} {value}" for name, value in sorted((settings or _settings(options)).items()))
    given += ", batches of one" if takes_one_by_one(path, options) else ""
    return EngineKey(network_hash(path), openvino.get_version(), device, given, f"{path.parent.name}/{path.name}")


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
