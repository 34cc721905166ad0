"""Calls of several callers as one batch: gathered on the host, unless a runtime gathers them itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from rigid.arrays import Array
from rigid.models.contract import PICTURES, RecurrentState, Runtime

InvertCall = tuple[Array, RecurrentState]
"""What `Runtime.invert` takes."""
InvertAnswer = tuple[Array, Array, RecurrentState]
"""What it gives."""


@runtime_checkable
class BatchCallRuntime(Protocol):
    """Runs what several callers ask at the same time as one batch; no answer shares memory with another's."""

    def invert_each(self, calls: Sequence[InvertCall]) -> list[InvertAnswer]:
        """`Runtime.invert` of each."""

    def synthesize_each(self, calls: Sequence[tuple[Array, ...]]) -> list[Array]:
        """`Runtime.synthesize` of each, or `Runtime.synthesize_face` where they have corners: all or none of them."""

    def parse_each(self, calls: Sequence[Array]) -> list[Array]:
        """`Runtime.parse` of each."""


def make_batch_call_runtime(runtime: Runtime) -> BatchCallRuntime:
    """`runtime` itself where it can, else by way of the host's memory."""
    return runtime if isinstance(runtime, BatchCallRuntime) else HostBatchCalls(runtime)


class HostBatchCalls:
    """Any `Runtime`, whose batches are concatenated before a call and copied out after it."""

    def __init__(self, runtime: Runtime):
        self._runtime = runtime

    def invert_each(self, calls: Sequence[InvertCall]) -> list[InvertAnswer]:
        """See `BatchCallRuntime`."""
        given, states = [inputs for inputs, _ in calls], [state for _, state in calls]
        codes, noise, after = self._runtime.invert(_join(given), join_states(states, given))
        parts = [split(array, given) for array in (codes, noise, after.hidden, after.cell)]
        return [
            (own_codes, own_noise, replace(before, hidden=hidden, cell=cell))
            for before, own_codes, own_noise, hidden, cell in zip(states, *parts, strict=True)
        ]

    def synthesize_each(self, calls: Sequence[tuple[Array, ...]]) -> list[Array]:
        """See `BatchCallRuntime`."""
        codes, noise, *corners = (_join(parts) for parts in zip(*calls, strict=True))
        if corners:
            images = self._runtime.synthesize_face(codes, noise, *corners)
        else:
            images = self._runtime.synthesize(codes, noise)
        return split(images, [call[0] for call in calls])

    def parse_each(self, calls: Sequence[Array]) -> list[Array]:
        """See `BatchCallRuntime`."""
        return split(self._runtime.parse(_join(calls)), calls)


def join_states(states: Sequence[RecurrentState], inputs: Sequence[Array]) -> RecurrentState:
    """Join the states of several calls to one batch's, less the late codes, which no engine reads.

    Where a stream has no frame before, its `inputs` stand for it, as `RecurrentState` says; all of them None stays so.
    """
    pictures: dict[str, Array | None] = {}
    for name in PICTURES:
        own = [getattr(state, name) for state in states]
        known = [array if array is not None else given for array, given in zip(own, inputs, strict=True)]
        pictures[name] = None if all(array is None for array in own) else _join(known)
    hidden, cell = (_join([getattr(state, name) for state in states]) for name in ("hidden", "cell"))
    return RecurrentState(hidden, cell, **pictures)


def split(batch: Array, like: Sequence[Array]) -> list[Array]:
    """Copy out as many rows for each as those of `like` have: a view would keep the whole batch, others' rows too."""
    if len(like) == 1:
        return [batch]
    ends = np.cumsum([len(array) for array in like])
    return [batch[end - len(array) : end].copy() for array, end in zip(like, ends, strict=True)]


def _join(arrays: Sequence[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
