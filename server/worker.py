"""The threads that run all sessions' frames, off the event loop: a turn each, the newest frame first."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

STOP_SECONDS = 10.0
"""A frame that takes longer is not waited for; the threads are daemons and end with the process."""
MOST_THREADS = 32


def threads_for(cores: int | None = None) -> int:
    """How many sessions' frames are in hand at once: more than there are cores, as those in an engine's batch wait."""
    return min(MOST_THREADS, 2 + 2 * (cores or os.cpu_count() or 1))


class Lane(Generic[Item]):
    """One session's place at the worker: holds at most one item, the newest offered, and runs one at a time."""

    def __init__(self, worker: InferenceWorker, process: Callable[[Item], None]) -> None:
        self._worker = worker
        self._process = process
        self._waiting: Item | None = None
        self._last: Callable[[], None] | None = None
        self._closed = False
        self.running = False
        """Whether a thread has this lane in hand; guarded by the worker's lock."""

    def offer(self, item: Item) -> bool:
        """Hand in an item for `process`; True when it took the place of one still waiting."""
        with self._worker.changed:
            if self._closed:
                return False
            displaced = self._waiting is not None
            self._waiting = item
            self._worker.enqueue(self)
            return displaced

    def close(self, last: Callable[[], None]) -> None:
        """Drop what waits and run `last` on a worker's thread, after which `process` is not called any more."""
        with self._worker.changed:
            if self._closed:
                return
            self._closed, self._waiting, self._last = True, None, last
            self._worker.enqueue(self)

    @property
    def wants_a_turn(self) -> bool:
        """Whether something waits; the caller holds the worker's lock."""
        return self._waiting is not None or self._last is not None

    def take(self) -> Callable[[], None] | None:
        """What to run now; the caller holds the worker's lock."""
        item, self._waiting = self._waiting, None
        last, self._last = self._last, None
        if last is not None:
            return last
        return None if item is None else lambda: self._process(item)


class InferenceWorker:
    """Runs the lanes' items round robin on a few threads, never two of one lane at once.

    With several threads, sessions' frames are prepared and blended beside each other, and their calls of a shared
    engine can run as one batch (`engines.batching`).
    """

    def __init__(self, threads: int = 1) -> None:
        self.changed = threading.Condition()
        self._count = threads
        self._turns: deque[Lane[object]] = deque()
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def start(self, first: Callable[[], None] | None = None) -> None:
        """Start the threads; `first` runs on one of them before any item."""
        ready = threading.Event()
        for i in range(self._count):
            call = first if i == 0 else None
            thread = threading.Thread(target=self._run, args=(call, ready, i), name=f"inference-{i}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Finish what is in hand, run the closed lanes' last calls, and wait for the threads; safe to call twice."""
        with self.changed:
            self._stopping = True
            self.changed.notify_all()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def lane(self, process: Callable[[Item], None]) -> Lane[Item]:
        """A place for one session, whose items `process` takes on the worker's threads, one at a time, in order."""
        return Lane(self, process)

    def enqueue(self, lane: Lane[Item]) -> None:
        """Give `lane` a turn unless it waits for one or has one already; the caller holds the lock."""
        if lane not in self._turns and not lane.running:
            self._turns.append(lane)  # type: ignore[arg-type]
            self.changed.notify()

    def _run(self, first: Callable[[], None] | None, ready: threading.Event, number: int) -> None:
        if number == 0:
            if first is not None:
                self._guarded(first)
            ready.set()
        else:
            ready.wait()
        while (turn := self._next_turn()) is not None:
            lane, call = turn
            if call is not None:
                self._guarded(call)
            # not kept while waiting: it holds a frame
            del turn, call
            self._finish(lane)

    def _next_turn(self) -> tuple[Lane[object], Callable[[], None] | None] | None:
        """Wait for a lane's turn and take what it has; None once stopped and nothing is left to do."""
        with self.changed:
            while not self._turns and not self._stopping:
                self.changed.wait()
            if not self._turns:
                return None
            lane = self._turns.popleft()
            lane.running = True
            return lane, lane.take()

    def _finish(self, lane: Lane[object]) -> None:
        with self.changed:
            lane.running = False
            if lane.wants_a_turn:
                self.enqueue(lane)

    @staticmethod
    def _guarded(call: Callable[[], None]) -> None:
        """One broad catch: a fault in one session's frame must not end a thread that all share."""
        try:
            call()
        except Exception:
            logger.exception("A frame could not be processed")
