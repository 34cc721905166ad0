"""The threads that run all sessions' frames, off the event loop: a turn each, the newest frame first."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from rigid.operating_system import count_cores

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

STOP_SECONDS = 10.0
"""A frame that takes longer is not waited for; the threads are daemons and end with the process."""
MOST_THREADS = 32


def threads_for(cores: int | None = None) -> int:
    """How many sessions' frames are in hand at once: more than there are cores, as those in an engine's batch wait."""
    return min(MOST_THREADS, 2 + 2 * (cores or count_cores()))


Stage = Callable[[Any], Any]
"""Takes what the stage before gave, an item at first; None ends the item's way early."""
MOST_IN_HAND = 2
"""Frames of one session at work at once: a second one overlaps with the first, a third would only be late."""
BUSY_CORES = 2
"""Up to so many, the networks keep all of them busy: a second frame in hand then doubles a frame's way, 108 to 204 ms,
for 0 to 8% more frames a second."""


def in_hand_for(cores: int | None = None) -> int:
    """How many frames of one session to have at work at once: one where there is no core for a second."""
    return MOST_IN_HAND if (cores or count_cores()) > BUSY_CORES else 1


class Lane(Generic[Item]):
    """One session's place at the worker: holds at most one item, the newest offered.

    An item goes through the stages one after another. A stage has one item at a time, in order; different stages may
    have different items in hand at once.
    """

    def __init__(self, worker: InferenceWorker, stages: Sequence[Stage]) -> None:
        self._worker = worker
        self._stages = tuple(stages)
        self._inputs: list[object] = [None] * len(self._stages)
        self._busy: set[int] = set()
        self._alone: Callable[[], None] | None = None
        """What is to run while no stage is at work; nothing else begins before it."""
        self._closed = False

    def offer(self, item: Item) -> bool:
        """Hand in an item, anything but None, for the first stage; True when it took the place of one still waiting."""
        assert item is not None
        with self._worker.changed:
            if self._closed:
                return False
            displaced = self._inputs[0] is not None
            self._inputs[0] = item
            self._worker.enqueue(self)
            return displaced

    def interject(self, call: Callable[[], None]) -> None:
        """Run `call` once on a worker's thread, while no stage is at work; in place of one that waits for that."""
        with self._worker.changed:
            if not self._closed:
                self._alone = call
                self._worker.enqueue(self)

    def close(self, last: Callable[[], None]) -> None:
        """Drop what is not in hand and run `last` on a worker's thread, after which no stage is called any more."""
        with self._worker.changed:
            if self._closed:
                return
            self._closed, self._alone = True, last
            self._inputs = [None] * len(self._stages)
            self._worker.enqueue(self)

    def ready(self) -> bool:
        """Whether something can run now; the caller holds the worker's lock."""
        return not self._busy if self._alone is not None else self._ready_stage() is not None

    def take(self) -> Turn:
        """What to run now, once `ready`; the caller holds the worker's lock."""
        if self._alone is not None:
            call, self._alone = self._alone, None
            self._busy.add(-1)
            return Turn(-1, call)
        stage = self._ready_stage()
        assert stage is not None
        item, self._inputs[stage] = self._inputs[stage], None
        self._busy.add(stage)
        return Turn(stage, partial(self._stages[stage], item))

    def done(self, turn: Turn, result: object) -> None:
        """Hand on what a turn gave; the caller holds the worker's lock."""
        self._busy.discard(turn.stage)
        following = turn.stage + 1
        if turn.stage >= 0 and following < len(self._stages) and not self._closed:
            self._inputs[following] = result

    def _ready_stage(self) -> int | None:
        """The furthest stage that has an item to take and room to hand it on."""
        if -1 in self._busy:
            return None
        for stage in range(len(self._stages) - 1, -1, -1):
            room = stage + 1 == len(self._stages) or self._inputs[stage + 1] is None
            allowed = stage > 0 or self._in_hand() < self._worker.in_hand
            if self._inputs[stage] is not None and stage not in self._busy and room and allowed:
                return stage
        return None

    def _in_hand(self) -> int:
        return len(self._busy) + sum(item is not None for item in self._inputs[1:])


class Turn(NamedTuple):
    """One call of one lane's stage; -1 for a call while no stage is at work, such as the lane's last."""

    stage: int
    call: Callable[[], object]


class InferenceWorker:
    """Runs the lanes' items round robin on a few threads.

    With several threads, sessions' frames, and `in_hand` of one session, are located, generated and blended beside
    each other, and sessions' calls of a shared engine can run as one batch (`engines.batching`).
    """

    def __init__(self, threads: int = 1, in_hand: int = MOST_IN_HAND) -> None:
        """`in_hand`: how many frames of one session may be at work at once."""
        self.changed = threading.Condition()
        self.in_hand = in_hand
        self._count = threads
        self._turns: deque[Lane[Any]] = deque()
        self._at_work = 0
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

    def lane(self, *stages: Stage) -> Lane[Any]:
        """A place for one session, whose items go through `stages` on the worker's threads."""
        return Lane(self, stages)

    def enqueue(self, lane: Lane[Any]) -> None:
        """Give `lane` a turn if it has use for one and does not wait for one already; the caller holds the lock."""
        if lane not in self._turns and lane.ready():
            self._turns.append(lane)
            self.changed.notify()

    def _run(self, first: Callable[[], None] | None, ready: threading.Event, number: int) -> None:
        if number == 0:
            if first is not None:
                self._guard(first)
            ready.set()
        else:
            ready.wait()
        while (taken := self._next_turn()) is not None:
            lane, turn = taken
            result = self._guard(turn.call)
            self._finish(lane, turn, result)
            # not kept while waiting: they hold a frame
            del taken, turn, result

    def _next_turn(self) -> tuple[Lane[Any], Turn] | None:
        """Wait for a lane's turn and take what it has; None once stopped and nothing is left to do."""
        with self.changed:
            while True:
                while not self._turns:
                    if self._stopping and not self._at_work:
                        self.changed.notify_all()
                        return None
                    self.changed.wait()
                lane = self._turns.popleft()
                # A lane that was closed meanwhile waits for its stages at work.
                if lane.ready():
                    break
            turn = lane.take()
            self._at_work += 1
            self.enqueue(lane)
            return lane, turn

    def _finish(self, lane: Lane[Any], turn: Turn, result: object) -> None:
        with self.changed:
            self._at_work -= 1
            lane.done(turn, result)
            self.enqueue(lane)
            if self._stopping:
                self.changed.notify_all()

    @staticmethod
    def _guard(call: Callable[[], object]) -> object:
        """One broad catch: a fault in one session's frame must not end a thread that all share."""
        try:
            return call()
        except Exception:
            logger.exception("A frame could not be processed")
            return None
