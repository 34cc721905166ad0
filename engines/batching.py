"""One runtime for many sessions: calls that wait at the same time run as one batch, each with its own state."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from engines.batch_calls import make_batch_call_runtime
from engines.shared_runtime import Call, SharedRuntime
from rigid.models.contract import Runtime
from rigid.operating_system import count_cores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchingOptions:
    """How calls are put together."""

    most_rows: int = 16
    """Pictures in a batch; a single call may hold more and then runs by itself."""
    longest_wait: float = 0.002
    """Seconds that a call waits for others to come, where the round before held more calls than this one."""

    @classmethod
    def of_machine(cls, threads: int | None, *, gpu: bool) -> Self:
        """On processors a batch has a picture a core, as a larger one is no quicker, and takes memory.

        `threads`: how many one call may use; None = as many as there are cores. `gpu`: whether there is one.
        """
        return cls() if gpu else cls(min(cls.most_rows, threads or count_cores()))


class BatchedRuntime(SharedRuntime):
    """A `Runtime` whose calls may come from any number of threads at once.

    One thread of its own runs the engine. It takes the call that has waited longest and all others of its kind that
    wait, oldest first, as far as the batch holds them: nobody is passed over, and a caller, who has one call at a
    time, waits for no more than what came before. What a batch answers is copied out to each caller, so that no
    state is shared. Where a batch fails, its calls run one by one, and only the call at fault gets the error.
    """

    def __init__(self, runtime: Runtime, options: BatchingOptions | None = None):
        """`runtime` is called from one thread only, and closed with this one."""
        super().__init__(runtime)
        self._joint = make_batch_call_runtime(runtime)
        self._options = options or BatchingOptions()
        self._waiting: deque[Call] = deque()
        self._expected = 1
        self.batches: Counter[int] = Counter()
        """How many rounds held how many calls."""
        self._thread = threading.Thread(target=self._run, name="batching", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread once what waits is done, and close the engine; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._runtime.close()

    def _enqueue(self, call: Call) -> None:
        self._waiting.append(call)

    def _run(self) -> None:
        while calls := self._take():
            self.batches[len(calls)] += 1
            self._expected = len(calls)
            self._answer(calls)

    def _take(self) -> list[Call]:
        """The next round's calls; none once closed."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._changed.wait()
            deadline = self._waiting[0].came + self._options.longest_wait
            while len(self._fitting()) < self._expected and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            calls = self._fitting()
            self._waiting = deque(call for call in self._waiting if not any(call is taken for taken in calls))
            return calls

    def _fitting(self) -> list[Call]:
        """The oldest call and those of its kind that fit into one batch with it."""
        first, *others = self._waiting
        calls, rows = [first], first.rows
        for call in others:
            if call.kind == first.kind and rows + call.rows <= self._options.most_rows:
                calls.append(call)
                rows += call.rows
        return calls

    def _answer(self, calls: Sequence[Call]) -> None:
        """Run `calls` as one batch; one by one where that fails."""
        try:
            for call, answer in zip(calls, self._answers(calls), strict=True):
                call.answer = answer
        except Exception as error:  # whatever an engine raises belongs to the callers, not to the thread all share
            if len(calls) == 1:
                calls[0].error = error
            else:
                logger.warning("A batch of %d calls failed and is run call by call: %s", len(calls), error)
                for call in calls:
                    self._answer([call])
        for call in calls:
            call.done.set()

    def _answers(self, calls: Sequence[Call]) -> Sequence[object]:
        if calls[0].kind == "invert":
            return self._joint.invert_each([(call.arrays[0], call.state) for call in calls if call.state is not None])
        if calls[0].kind == "parse":
            return self._joint.parse_each([call.arrays[0] for call in calls])
        return self._joint.synthesize_each([call.arrays for call in calls])
