"""What every back end shares: a runtime over graphs that are fed and read by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from rigid.arrays import Array
from rigid.models.contract import PICTURES, RecurrentState, Sizes

logger = logging.getLogger(__name__)

Precision = Literal["auto", "f32"]
Feeds = Mapping[str, Array]
"""A graph's inputs by name, contiguous float32."""
OUT_OF_MEMORY = ("out of memory", "bad_alloc", "failed to allocate", "cannot allocate memory", "outofmemory")
"""How back ends word it; they share no class for it."""
FACE_GRAPH, PARSE_GRAPH = "synthesize_face", "parse"
WITHOUT = {FACE_GRAPH: "makes whole pictures only; call `synthesize`", PARSE_GRAPH: "has no face parser"}
"""What is said where a graph is asked for that an engine may be without."""


class EngineError(Exception):
    """An engine cannot be loaded or cannot run; the text is one sentence for the user."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is to run."""

    threads: int | None = None
    """Threads one call may use; None = as many as the process may use cores."""
    precision: Precision = "auto"
    """`auto`: what is fastest on this machine; `f32`: float32 throughout, for comparisons."""
    kept: Path | None = None
    """Folder in which an engine that compiles keeps what it compiled; None keeps nothing."""
    engine: str = ""
    """The name by which a module was asked for that serves several."""


class Graph(Protocol):
    """One network, ready to run."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the arrays it wants."""

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run the network once: its outputs by name, in memory of their own."""


class GraphRuntime:
    """A `Runtime` over graphs by name: `invert`, `synthesize` and, where they are there, `synthesize_face` and `parse`.

    `invert` takes `inputs` and, of what a `RecurrentState` holds, the arrays it names; it gives `codes` and,
    where it has a recurrent encoder, `noise`, `next_hidden` and `next_cell`. An `invert` without one has no state among
    its inputs: the noise is then zero, and `hidden` and `cell` come back as they went in. What `sizes` say of a graph
    that is not there is taken back.
    """

    def __init__(self, name: str, sizes: Sizes, graphs: Mapping[str, Graph]):
        self._name = name
        window = sizes.face_window if FACE_GRAPH in graphs else None
        self._sizes = replace(sizes, face_window=window, n_classes=sizes.n_classes if PARSE_GRAPH in graphs else 0)
        self._graphs: Mapping[str, Graph] | None = graphs
        self._most: dict[Graph, int] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def sizes(self) -> Sizes:
        return self._sizes

    @property
    def graphs(self) -> frozenset[str]:
        """The names of the graphs that are there."""
        return frozenset(self._graphs or ())

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        """See `rigid.models.contract.Runtime`; ValueError for arrays of another shape."""
        graph = self._graph("invert")
        (outputs,) = self._run(graph, self._invert_feeds(graph, inputs, state))
        return self._read_inversion(outputs, state)

    def synthesize(self, codes: Array, noise: Array) -> Array:
        """See `rigid.models.contract.Runtime`; ValueError for arrays of another shape."""
        (outputs,) = self._run(self._graph("synthesize"), self._synthesize_feeds(codes, noise))
        return outputs["images"]

    def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
        """See `rigid.models.contract.Runtime`; ValueError for arrays of another shape, or a window beyond the picture.

        EngineError where the engine makes whole pictures only.
        """
        graph = self._graph(FACE_GRAPH)
        assert self._sizes.face_window is not None
        feeds = self._synthesize_feeds(codes, noise)
        corners = _check("corners", corners, (2,), codes.shape[0])
        last = np.subtract(self._sizes.noise_shape[1:], self._sizes.face_window)
        if (corners < 0).any() or (corners > last).any():
            raise ValueError(f"corners are {corners.tolist()}; from (0, 0) to {tuple(last.tolist())} is expected.")
        (outputs,) = self._run(graph, feeds | {"corners": corners})
        return outputs["images"]

    def parse(self, pictures: Array) -> Array:
        """See `rigid.models.contract.Runtime`; ValueError for arrays of another shape.

        EngineError where the engine has no face parser.
        """
        (outputs,) = self._run(self._graph(PARSE_GRAPH), self._parse_feeds(pictures))
        return outputs["probabilities"]

    def close(self) -> None:
        self._graphs = None

    def _invert_feeds(self, graph: Graph, inputs: Array, state: RecurrentState) -> dict[str, Array]:
        side = self._sizes.image_size
        given = {"inputs": _check("inputs", inputs, (3, side, side))}
        batch = given["inputs"].shape[0]
        for name in ("hidden", "cell"):
            given[name] = _check(name, getattr(state, name), self._sizes.hidden_shape, batch)
        for name in PICTURES:
            # Before the first frame the frame itself stands for all of the one before. The authors generate E_{t-1}
            # from the image encoder's edited code; that costs a generator's run, and training covers both.
            previous = getattr(state, name)
            given[name] = given["inputs"] if previous is None else _check(name, previous, (3, side, side), batch)
        return {name: given[name] for name in graph.inputs}

    def _read_inversion(
        self, outputs: Mapping[str, Array], state: RecurrentState
    ) -> tuple[Array, Array, RecurrentState]:
        codes = outputs["codes"]
        noise = outputs["noise"] if "noise" in outputs else self._no_noise(len(codes))
        hidden, cell = outputs.get("next_hidden", state.hidden), outputs.get("next_cell", state.cell)
        return codes, noise, replace(state, hidden=hidden, cell=cell)

    def _synthesize_feeds(self, codes: Array, noise: Array) -> dict[str, Array]:
        codes = _check("codes", codes, (self._sizes.n_codes, self._sizes.code_size))
        return {"codes": codes, "noise": _check("noise", noise, self._sizes.noise_shape, codes.shape[0])}

    def _parse_feeds(self, pictures: Array) -> dict[str, Array]:
        side = self._sizes.image_size
        return {"pictures": _check("pictures", pictures, (3, side, side))}

    def _graph(self, graph: str) -> Graph:
        if self._graphs is None:
            raise EngineError(f"The engine {self._name} was closed; load it again.")
        if graph not in self._graphs:
            raise EngineError(f"The engine {self._name} {WITHOUT[graph]}.")
        return self._graphs[graph]

    def _run(self, graph: Graph, *calls: Feeds) -> list[dict[str, Array]]:
        """The graph's outputs for each of `calls`; what memory does not hold is run in halves, as is what comes later.

        Several at once are for a runtime whose graphs gather them, see `_together`.
        """
        rows = sum(len(next(iter(feeds.values()))) for feeds in calls)
        try:
            if rows <= self._most.get(graph, rows):
                return self._together(graph, calls)
        except Exception as error:  # each back end raises classes of its own
            if rows == 1 or not is_out_of_memory(error):
                raise EngineError(f"The engine {self._name} failed on a frame: {first_line(error)}.") from error
            logger.warning("engine %s: no memory for a batch of %d, which is halved", self._name, rows)
            self._most[graph] = rows // 2
        if len(calls) > 1:
            return [answer for half in _halves(len(calls) // 2) for answer in self._run(graph, *calls[half])]
        half = min(rows // 2, self._most[graph])
        parts = [self._run(graph, {n: array[part] for n, array in calls[0].items()})[0] for part in _halves(half)]
        return [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]}]

    def _together(self, graph: Graph, calls: Sequence[Feeds]) -> list[dict[str, Array]]:
        """`calls` as one batch."""
        (feeds,) = calls
        return [graph.run(feeds)]

    def _no_noise(self, batch: int) -> Array:
        return np.zeros((batch, *self._sizes.noise_shape), np.float32)


def _check(name: str, array: Array, shape: tuple[int, ...], batch: int | None = None) -> Array:
    """`array` as contiguous float32; ValueError unless it is (batch, *shape)."""
    wanted = (array.shape[0] if batch is None and array.ndim else batch, *shape)
    if array.shape != wanted or not array.shape[0]:
        expected = ("B" if batch is None else batch, *shape)
        raise ValueError(f"{name} has the shape {array.shape}; ({', '.join(map(str, expected))}) is expected.")
    return np.ascontiguousarray(array, np.float32)


def _halves(rows: int) -> tuple[slice, slice]:
    return slice(None, rows), slice(rows, None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a back end's error says that memory ran out, the computer's or the GPU's."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY)


def first_line(error: BaseException) -> str:
    """The first line of a library's message, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
