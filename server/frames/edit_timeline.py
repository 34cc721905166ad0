"""The edits of one session: set from the event loop, read by the inference thread in the video's own time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from rigid.edits.ramp import Easing, EditRamp

MOST_BEHIND = 0.1
"""Seconds of video: a change that was asked for since the last frame begins at that frame, if it is no older."""
WAIT_SECONDS = 2.0
"""So long is waited for the frame that first uses an edit."""
MAX_WAITING = 64
"""Requests of one session that may wait for it at a time; beyond them the oldest waits no longer."""


@dataclass(frozen=True)
class _Change:
    target: float
    seconds: float
    easing: Easing


class SessionEdits:
    """An `EditRamp` over the frames' times, with a revision that counts its changes.

    A change is noted when it is asked for and begins with the next frame: a ramp takes its time in the video, however
    slowly or unevenly the frames are processed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ramp = EditRamp()
        self._waiting: dict[str, _Change] = {}
        self._rev = 0
        self._last: float | None = None

    def set(
        self, edits: Mapping[str, float], ramp_seconds: float, easing: Easing = "smooth", *, alone: bool = False
    ) -> int:
        """Start moving to valid strengths with the next frame; returns the revision this makes.

        `alone`: everything that is not in `edits` goes to 0 meanwhile, which fades from one set of edits to another.
        """
        with self._lock:
            others = dict.fromkeys(self._targets(), 0.0) if alone else {}
            for name, strength in {**others, **edits}.items():
                self._waiting[name] = _Change(float(strength), ramp_seconds, easing)
            self._rev += 1
            return self._rev

    def at(self, now: float) -> tuple[dict[str, float], int]:
        """The strengths at `now`, a frame's time in seconds, and the newest revision in them."""
        with self._lock:
            began = now if self._last is None else min(now, max(self._last, now - MOST_BEHIND))
            for name, change in self._waiting.items():
                self._ramp.set({name: change.target}, change.seconds, began, change.easing)
            self._waiting.clear()
            self._last = now
            return self._ramp.at(now), self._rev

    @property
    def rev(self) -> int:
        """The newest revision."""
        return self._rev

    @property
    def targets(self) -> dict[str, float]:
        """What every attribute set so far is heading for."""
        with self._lock:
            return self._targets()

    def _targets(self) -> dict[str, float]:
        return {**self._ramp.targets, **{name: change.target for name, change in self._waiting.items()}}


class AppliedEdits:
    """Knows which processed frame first used which revision; it is used on the event loop only."""

    def __init__(self) -> None:
        self.rev = 0
        """The newest revision that a frame has used."""
        self.frame: int | None = None
        """The number of the first frame that used it, counted from 1."""
        self._waiting: deque[tuple[int, asyncio.Future[int | None]]] = deque()

    def note(self, rev: int, frame: int) -> bool:
        """Note that a frame was processed with the edits up to `rev`; True where it is the first with them."""
        if rev <= self.rev:
            return False
        self.rev, self.frame = rev, frame
        while self._waiting and self._waiting[0][0] <= rev:
            _settle(self._waiting.popleft()[1], frame)
        return True

    def expect(self, rev: int) -> asyncio.Future[int | None]:
        """The number of the first frame with `rev`, once there is one; None where none comes in time."""
        loop = asyncio.get_running_loop()
        first: asyncio.Future[int | None] = loop.create_future()
        if rev <= self.rev:
            first.set_result(self.frame if rev == self.rev else None)
            return first
        if len(self._waiting) >= MAX_WAITING:
            _settle(self._waiting.popleft()[1], None)
        self._waiting.append((rev, first))
        loop.call_later(WAIT_SECONDS, _settle, first, None)
        return first

    def describe(self) -> dict[str, int | None]:
        """Describe the edits in use as a session's description has it."""
        return {"rev": self.rev, "frame": self.frame}


def _settle(first: asyncio.Future[int | None], frame: int | None) -> None:
    if not first.done():
        first.set_result(frame)
