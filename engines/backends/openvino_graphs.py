"""Networks that OpenVINO compiled, ready to run: on all cores, on one core."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import openvino

from engines.graph_runtime import Feeds, Graph
from rigid.arrays import Array

Answer = dict[str, Array]


class Call:
    """One infer request of a compiled network, its arrays by name."""

    def __init__(self, model: openvino.CompiledModel):
        self._request = model.create_infer_request()
        self.inputs = tuple(port.any_name for port in model.inputs)
        self.outputs = tuple(port.any_name for port in model.outputs)

    def infer(self, feeds: Feeds) -> Answer:
        """Run the network on all cores that it was compiled for."""
        self._request.infer(self._choose(feeds), share_inputs=True, share_outputs=True)
        return self._read()

    @staticmethod
    def infer_beside(calls: Sequence[Call], feeds: Sequence[Feeds]) -> list[Answer]:
        """Run `calls` at the same time, each with its `feeds` on a stream of its network."""
        # whatever fails, all are waited for, as they read the callers' memory
        with ExitStack() as running:
            for call, given in zip(calls, feeds, strict=True):
                call._request.start_async(call._choose(given), share_inputs=True)
                running.callback(call._request.wait)
        return [call._read() for call in calls]

    def _choose(self, feeds: Feeds) -> dict[str, Array]:
        return {name: feeds[name] for name in self.inputs}

    def _read(self) -> Answer:
        # Copied: the request writes its next answer into the same memory.
        tensors = [self._request.get_output_tensor(place).data for place in range(len(self.outputs))]
        return {name: np.array(data, np.float32) for name, data in zip(self.outputs, tensors, strict=True)}


class WideGraph:
    """One network on all cores; where it was compiled a second time, several pictures on a core each."""

    def __init__(
        self, wide: openvino.CompiledModel, narrow: openvino.CompiledModel | None, cores: int, *, one_by_one: bool
    ):
        """`narrow`: with a stream for each of `cores`; `one_by_one`: whether both take one picture at a time."""
        self._call, self._narrow, self._one_by_one = Call(wide), narrow, one_by_one
        self._beside = [] if narrow is None else [Call(narrow) for _ in range(cores)]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._call.inputs

    def open_for_core(self) -> Graph | None:
        """The network on one core; None where it takes all."""
        return None if self._narrow is None else OneCoreGraph(self._narrow)

    def run(self, feeds: Feeds) -> Answer:
        if not self._one_by_one:
            return self._call.infer(feeds)
        rows, together = _rows(feeds), max(1, len(self._beside))
        parts = [rows[first : first + together] for first in range(0, len(rows), together)]
        return _stack([answer for part in parts for answer in self._infer_each(part)])

    def _infer_each(self, rows: Sequence[Feeds]) -> list[Answer]:
        """The answers to `rows`: one with all cores, several on a core each."""
        return [self._call.infer(rows[0])] if len(rows) == 1 else Call.infer_beside(self._beside[: len(rows)], rows)


class OneCoreGraph:
    """One network on one core, while other cores do something else."""

    def __init__(self, narrow: openvino.CompiledModel):
        self._call = Call(narrow)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._call.inputs

    def run(self, feeds: Feeds) -> Answer:
        return Call.infer_beside([self._call], [feeds])[0]


def _rows(feeds: Feeds) -> list[Feeds]:
    """What each picture of a batch is made of."""
    count = len(next(iter(feeds.values())))
    return [{name: array[row : row + 1] for name, array in feeds.items()} for row in range(count)]


def _stack(answers: Sequence[Answer]) -> Answer:
    """The answers to several pictures as that to their batch."""
    if len(answers) == 1:
        return answers[0]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
