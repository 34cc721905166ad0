"""One runtime for many sessions on few cores: what waits at the same time is computed side by side, a core each.

Cores that work at one picture wait for each other at every layer: two of them take 0.55 to 0.75 of the time that one
takes for a face's part of a picture, so that two pictures, on a core each, are there sooner than one after the other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from engines.shared_runtime import Call, SharedRuntime
from rigid.models.contract import RecurrentState, Runtime


class CoreRuntime(Runtime, Protocol):
    """A runtime that takes one core."""

    @property
    def graphs(self) -> frozenset[str]:
        """The calls that it takes, by name."""


@runtime_checkable
class CoresRuntime(Runtime, Protocol):
    """A runtime whose networks can run on one core each."""

    def open_cores(self) -> Sequence[CoreRuntime]:
        """A runtime for each core, all to be called at the same time, with what can run on one; none for no gain."""


Answer = tuple[Any, ...]
"""What an engine gives for one picture."""


@dataclass(eq=False)
class _Job:
    """One picture of a call."""

    call: Call
    row: int
    answers: list[Answer | None]
    """Those of all the call's pictures; None for what is not there yet."""
    all_cores: bool = False

    def run(self, runtime: Runtime) -> None:
        arrays = [array[self.row : self.row + 1] for array in self.call.arrays]
        if self.call.state is None:
            self.answers[self.row] = (getattr(runtime, self.call.kind)(*arrays),)
        else:
            self.answers[self.row] = runtime.invert(arrays[0], _find_row(self.call.state, self.row))

    def finish(self) -> None:
        """Hand the call its answer where this picture was the last one, or failed."""
        if self.call.error is not None or all(answer is not None for answer in self.answers):
            if self.call.error is None:
                self.call.answer = _join([answer for answer in self.answers if answer is not None], self.call.state)
            self.call.done.set()


class SideBySideRuntime(SharedRuntime):
    """A `Runtime` whose calls may come from any number of threads at once, computed by a thread for each core.

    The picture that has waited longest is next, on the first core that is free. One that comes while nothing else waits
    or runs is given all cores, and so is what no core can do alone; what comes meanwhile waits until it is done.
    """

    def __init__(self, runtime: CoresRuntime, cores: Sequence[CoreRuntime]):
        """`cores`: what `runtime.open_cores` gave; `runtime` itself is called by no other."""
        super().__init__(runtime)
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._narrow = cores[0].graphs
        self._threads = [
            threading.Thread(target=self._run, args=(core,), name=f"core-{number}", daemon=True)
            for number, core in enumerate(cores)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads once what waits is done, and close the engine; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._runtime.close()

    def _enqueue(self, call: Call) -> None:
        answers: list[Answer | None] = [None] * call.rows
        self._waiting += [_Job(call, row, answers) for row in range(call.rows)]

    def _run(self, core: CoreRuntime) -> None:
        while (job := self._take()) is not None:
            try:
                job.run(self._runtime if job.all_cores else core)
            except Exception as error:  # whatever an engine raises belongs to the caller, not to a thread all share
                job.call.error = error
            with self._changed:
                self._running.remove(job)
                self._changed.notify_all()
                job.finish()

    def _take(self) -> _Job | None:
        """The next picture for a core that is free; None once closed."""
        with self._changed:
            while not self._may_begin():
                if self._closed and not self._waiting:
                    return None
                self._changed.wait()
            job = self._waiting.popleft()
            lone = not self._waiting and not self._running
            job.all_cores = lone or job.call.kind not in self._narrow
            self._running.append(job)
            return job

    def _may_begin(self) -> bool:
        """Whether the oldest picture may begin beside those that run."""
        if not self._waiting or any(job.all_cores for job in self._running):
            return False
        return self._waiting[0].call.kind in self._narrow or not self._running


def _find_row(state: RecurrentState, row: int) -> RecurrentState:
    """The state of one of a batch's pictures."""
    if len(state.hidden) == 1:
        return state
    rows = {name: None if part is None else part[row : row + 1] for name, part in vars(state).items()}
    return RecurrentState(**rows)  # type: ignore[arg-type]


def _join(answers: Sequence[Answer], state: RecurrentState | None) -> object:
    """The answer to a call, from those to its pictures; `state`: what an inversion began with."""
    if state is None:
        return np.concatenate([picture for (picture,) in answers]) if len(answers) > 1 else answers[0][0]
    if len(answers) == 1:
        return answers[0]
    codes, noise, states = zip(*answers, strict=True)
    hidden, cell = (np.concatenate([getattr(one, name) for one in states]) for name in ("hidden", "cell"))
    return np.concatenate(codes), np.concatenate(noise), replace(state, hidden=hidden, cell=cell)
