"""PyTorch's CUDA memory and graphs for engines on an NVIDIA GPU: a call is captured once a batch, then replayed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from rigid.models.contract import Array

Call = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""Inputs by name, on the GPU, float32 → outputs by name; must always write to the memory it wrote to when captured."""
WARM_UPS = 3
"""Runs before a capture, in which libraries choose their kernels."""
MOST_CAPTURED = 8
"""Batches of other sizes than these many run without a graph; each holds memory of its own."""


class CapturedGraph:
    """An `engines.base.Graph` whose `call` runs on the GPU, replayed as a CUDA graph from its second run on.

    Inputs are copied into memory of their own that stays in place, by way of page-locked memory, and outputs back.
    """

    def __init__(self, call: Call, inputs: tuple[str, ...]):
        self._call = call
        self._inputs = inputs
        self._captured: dict[int, _Captured] = {}
        # A capture must not meet another call of the same process.
        self._lock = threading.Lock()

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        batch = len(feeds[self._inputs[0]])
        with self._lock, torch.inference_mode():
            captured = self._captured.get(batch)
            if captured is None:
                captured = _Captured(self._call, feeds)
                if len(self._captured) < MOST_CAPTURED:
                    self._captured[batch] = captured
            return captured.run(feeds)


class _Captured:
    """One batch size: memory for the inputs, the graph, and where it leaves its outputs."""

    def __init__(self, call: Call, feeds: Mapping[str, Array]):
        self._host = {name: torch.from_numpy(array).pin_memory() for name, array in feeds.items()}
        self._given = {name: value.cuda() for name, value in self._host.items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                call(self._given)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = call(self._given)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        for name, array in feeds.items():
            self._host[name].copy_(torch.from_numpy(array))
            self._given[name].copy_(self._host[name], non_blocking=True)
        self._graph.replay()
        # The copy to the host waits for the graph.
        return {name: value.float().cpu().numpy() for name, value in self._outputs.items()}
