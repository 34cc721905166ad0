"""Engines on an NVIDIA GPU by PyTorch's memory and CUDA graphs, with the state of sessions kept there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from engines.batch_calls import InvertAnswer, InvertCall, split
from engines.device_copies import DeviceCopies
from engines.graph_runtime import PARSE_GRAPH, Feeds, Graph, GraphRuntime
from rigid.arrays import Array

Tensors = dict[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]
Call = Callable[[Tensors], Tensors]
"""Inputs by name, on the GPU, float32 → outputs by name; must always write to the memory it wrote to when captured."""
WARM_UPS = 3
"""Runs before a capture, in which libraries choose their kernels."""
MOST_CAPTURED = 8
"""Batches of other sizes than these many run without a graph; each holds memory of its own."""
NEW = frozenset({"inputs", "pictures"})
"""What comes from the host with every call, but for pictures made here, which nobody can write to: a caller that fills
the same array anew is to find what it filled in."""
GIVEN_AGAIN = frozenset({"inputs", "next_hidden", "next_cell", "images"})
"""Of what goes in and comes out, what the next frame's state holds."""


class Batch(Protocol):
    """A call of one batch size, in memory that stays in place."""

    given: Tensors
    """The inputs, on the device."""
    staging: Tensors
    """Memory on the host from which they are copied there."""

    def run(self) -> Tensors:
        """The outputs for what `given` holds, on the device; the next run writes over them."""


class DeviceGraph:
    """An `engines.graph_runtime.Graph` whose `call` runs on a device, on inputs in memory that stays in place.

    Inputs that the device has already are copied there, others come by way of page-locked memory; outputs go to the
    host, and what the next frame needs of them stays on the device too.
    """

    def __init__(
        self,
        call: Call,
        inputs: tuple[str, ...],
        device_copies: DeviceCopies,
        prepare: Callable[[Call, Shapes], Batch] | None = None,
    ):
        """`device_copies`: one for all graphs of a runtime. `prepare`: makes a batch; as a CUDA graph unless given."""
        self._call, self._inputs = call, inputs
        self._device_copies, self._prepare = device_copies, prepare or CapturedBatch
        self._prepared: dict[int, Batch] = {}
        # A capture must not meet another call of the same process.
        self._lock = threading.Lock()

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, feeds: Feeds) -> dict[str, Array]:
        return self.run_each([feeds])[0]

    def run_each(self, calls: Sequence[Feeds]) -> list[dict[str, Array]]:
        """The outputs of each of `calls`, which run as one batch."""
        with self._lock, torch.inference_mode():
            batch = self._batch_for(calls)
            for name in self._inputs:
                self._fill(batch, name, [feeds[name] for feeds in calls])
            outputs = {name: value.float().contiguous() for name, value in batch.run().items()}
            like = [feeds[self._inputs[0]] for feeds in calls]
            # The copy to the host waits for the graph.
            parts = {name: self._fetch(name, value, like) for name, value in outputs.items()}
        return [{name: own[number] for name, own in parts.items()} for number in range(len(calls))]

    def _batch_for(self, calls: Sequence[Feeds]) -> Batch:
        rows = sum(len(feeds[self._inputs[0]]) for feeds in calls)
        batch = self._prepared.get(rows)
        if batch is None:
            batch = self._prepare(self._call, {name: (rows, *calls[0][name].shape[1:]) for name in self._inputs})
            if len(self._prepared) < MOST_CAPTURED:
                self._prepared[rows] = batch
        return batch

    def _fill(self, batch: Batch, name: str, arrays: Sequence[Array]) -> None:
        start = 0
        for array in arrays:
            rows = slice(start, start := start + len(array))
            target, is_new = batch.given[name][rows], name in NEW and array.flags.writeable
            known = None if is_new else self._device_copies.find(array)
            if known is not None:
                target.copy_(known)
                continue
            batch.staging[name].numpy()[rows] = array
            target.copy_(batch.staging[name][rows], non_blocking=True)
            if name in GIVEN_AGAIN:
                self._device_copies.keep(array, target.clone())

    def _fetch(self, name: str, value: Tensor, like: Sequence[Array]) -> list[Array]:
        """The rows of each call on the host; those that are given again are read-only there, as the copies are."""
        own = split(value.cpu().numpy(), like)
        if name in GIVEN_AGAIN:
            for array, rows in zip(own, value.split([len(array) for array in own]), strict=True):
                array.flags.writeable = False
                self._device_copies.keep(array, rows.clone())
        return own


class CapturedBatch:
    """A `Batch` as a CUDA graph."""

    def __init__(self, call: Call, shapes: Shapes):
        self.staging = {name: torch.zeros(shape).pin_memory() for name, shape in shapes.items()}
        self.given = {name: value.cuda() for name, value in self.staging.items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                call(self.given)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = call(self.given)

    def run(self) -> Tensors:
        """See `Batch`."""
        self._graph.replay()
        return self._outputs


class DeviceRuntime(GraphRuntime):
    """A `GraphRuntime` whose batches are gathered on the device, with what it keeps there of each session's state."""

    def invert_each(self, calls: Sequence[InvertCall]) -> list[InvertAnswer]:
        """See `engines.batch_calls.BatchCallRuntime`."""
        graph = self._graph("invert")
        outputs = self._run(graph, *(self._invert_feeds(graph, *call) for call in calls))
        return [self._read_inversion(own, state) for own, (_, state) in zip(outputs, calls, strict=True)]

    def synthesize_each(self, calls: Sequence[tuple[Array, ...]]) -> list[Array]:
        """See `engines.batch_calls.BatchCallRuntime`; EngineError for faces, as `synthesize_face` has it."""
        if len(calls[0]) > 2:
            return [self.synthesize_face(*call) for call in calls]
        outputs = self._run(self._graph("synthesize"), *(self._synthesize_feeds(*call) for call in calls))
        return [own["images"] for own in outputs]

    def parse_each(self, calls: Sequence[Array]) -> list[Array]:
        """See `engines.batch_calls.BatchCallRuntime`."""
        outputs = self._run(self._graph(PARSE_GRAPH), *map(self._parse_feeds, calls))
        return [own["probabilities"] for own in outputs]

    def _together(self, graph: Graph, calls: Sequence[Feeds]) -> list[dict[str, Array]]:
        assert isinstance(graph, DeviceGraph)
        return graph.run_each(calls)
