"""One thread that runs all sessions' frames, off the event loop: a turn each, the newest frame first."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

STOP_SECONDS = 10.0
"""A frame that takes longer is not waited for; the thread is a daemon and ends with the process."""


class Lane(Generic[Item]):
    """One session's place at the worker: holds at most one item, the newest offered."""

    def __init__(self, worker: InferenceWorker, process: Callable[[Item], None]) -> None:
        self._worker = worker
        self._process = process
        self._waiting: Item | None = None
        self._last: Callable[[], None] | None = None
        self._closed = False

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
        """Drop what waits and run `last` on the worker's thread, after which `process` is not called any more."""
        with self._worker.changed:
            if self._closed:
                return
            self._closed, self._waiting, self._last = True, None, last
            self._worker.enqueue(self)

    def take(self) -> Callable[[], None] | None:
        """What to run now; the caller holds the worker's lock."""
        item, self._waiting = self._waiting, None
        last, self._last = self._last, None
        if last is not None:
            return last
        return None if item is None else lambda: self._process(item)


class InferenceWorker:
    """Runs the lanes' items one at a time, round robin."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._turns: deque[Lane[object]] = deque()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self, first: Callable[[], None] | None = None) -> None:
        """Start the thread; `first` runs on it before any item."""
        self._thread = threading.Thread(target=self._run, args=(first,), name="inference", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in hand, run the closed lanes' last calls, and wait for the thread; safe to call twice."""
        with self.changed:
            self._stopping = True
            self.changed.notify()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def lane(self, process: Callable[[Item], None]) -> Lane[Item]:
        """A place for one session, whose items `process` takes on the worker's thread."""
        return Lane(self, process)

    def enqueue(self, lane: Lane[Item]) -> None:
        """Give `lane` a turn unless it waits for one already; the caller holds the lock."""
        if lane not in self._turns:
            self._turns.append(lane)  # type: ignore[arg-type]
            self.changed.notify()

    def _run(self, first: Callable[[], None] | None) -> None:
        call = first
        while True:
            if call is not None:
                self._guarded(call)
                # not kept while waiting: it holds a frame
                del call
            with self.changed:
                while not self._turns and not self._stopping:
                    self.changed.wait()
                if not self._turns:
                    return
                call = self._turns.popleft().take()

    @staticmethod
    def _guarded(call: Callable[[], None]) -> None:
        """One broad catch: a fault in one session's frame must not end the thread that all share."""
        try:
            call()
        except Exception:
            logger.exception("A frame could not be processed")
