"""How fast engines run a profile's networks by themselves, beside eager PyTorch in the same run, in turn."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from engines import EngineOptions, find_installed_engines, open_graphs
from engines.exports import BATCHES, GRAPHS
from engines.graph_runtime import FACE_GRAPH, PARSE_GRAPH
from engines.registry import ENGINES
from export.compare import answers_of, eager
from export.networks import Exportable, Networks, exportables
from rigid.models.contract import Runtime

EAGER = "eager"


@dataclass(frozen=True)
class Timing:
    """One graph on one engine: medians over all rounds, and how many times as fast as eager that is."""

    engine: str
    graph: str
    wall_ms: float
    processor_ms: float
    """Of all threads: what other programs take on a busy machine is not in it."""
    wall_ratio: float
    processor_ratio: float

    def as_json(self) -> dict[str, object]:
        """Return the timing, ready for JSON."""
        return asdict(self)


def time_networks(
    networks: Networks, folder: Path, *, rounds: int, calls: int, engines: Sequence[str] | None = None
) -> list[Timing]:
    """Time `engines`, all that are installed where they are not given, on `folder`, and eager, in turn.

    `rounds` times `calls` of each graph; engines that run no files, or int8, are left out. Eager PyTorch makes whole
    pictures only; a face's part is held against those.
    """
    runtimes = {EAGER: eager(networks)} | {
        name: open_graphs(name, folder, networks.sizes, EngineOptions())
        for name in engines or find_installed_engines()
        if ENGINES[name].files and not ENGINES[name].int8
    }
    taken: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    examples = [e for batch in set(BATCHES.values()) for e in exportables(networks, 0, batch)]
    for number in range(rounds + 1):
        for name, runtime in runtimes.items():
            for example in (example for example in examples if _is_run(runtime, example)):
                measured = _measure(lambda r=runtime, e=example: answers_of(r, e), calls if number else 1)  # type: ignore[misc]
                # the first round warms up
                taken[name, example.name] += measured if number else []
    for runtime in runtimes.values():
        runtime.close()
    return timings_of({key: _medians(times) for key, times in taken.items()})


def _is_run(runtime: Runtime, example: Exportable) -> bool:
    """Whether it is the batch of a frame, and a graph that the engine has."""
    rows = len(next(iter(example.inputs.values())))
    return rows == BATCHES[example.name] and (example.name != FACE_GRAPH or runtime.sizes.face_window is not None)


def _measure(call: Callable[[], object], calls: int) -> list[tuple[float, float]]:
    """Milliseconds of the clock and of all threads, for each call."""
    times = []
    for _ in range(calls):
        wall, processor = time.perf_counter(), time.process_time()
        call()
        times.append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor)))
    return times


def _medians(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    wall, processor = zip(*times, strict=True)
    return median(wall), median(processor)


def timings_of(taken: Mapping[tuple[str, str], tuple[float, float]]) -> list[Timing]:
    """Make timings, with a line `frame` for `invert`, `synthesize` and, where there is one, `parse` together."""
    known = dict(taken)
    for engine in {engine for engine, _ in taken}:
        parts = [taken[engine, graph] for graph in (*GRAPHS, PARSE_GRAPH) if (engine, graph) in taken]
        known[engine, "frame"] = (sum(wall for wall, _ in parts), sum(processor for _, processor in parts))
    timings = []
    for (engine, graph), (wall, processor) in sorted(known.items(), key=lambda item: (item[0][1], item[0][0])):
        reference = known[EAGER, "synthesize" if graph == FACE_GRAPH else graph]
        ratios = (round(reference[0] / wall, 2), round(reference[1] / processor, 2))
        timings.append(Timing(engine, graph, round(wall, 1), round(processor, 1), *ratios))
    return timings
