"""The edits of one session: set from the event loop, read by the inference thread in the video's own time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rigid.edits.face_edits import part_name
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
        self._returning: set[str] = set()
        """What single faces had of their own, on its way to what all have."""
        self._rev = 0
        self._last: float | None = None

    def set(
        self,
        edits: Mapping[str, float],
        ramp_seconds: float,
        easing: Easing = "smooth",
        *,
        alone: bool = False,
        returning: Collection[int] = (),
    ) -> int:
        """Start moving to valid strengths with the next frame; returns the revision this makes.

        `alone`: everything that is not in `edits` goes to 0 meanwhile, which fades from one set of edits to another,
        for all faces. `returning`: faces by number that have nothing of their own any more but what `edits` has.
        """
        with self._lock:
            targets = self._targets()
            wanted = {**(dict.fromkeys(targets, 0.0) if alone else {}), **edits}
            self._returning.difference_update(edits)
            for name in set(targets).difference(edits):
                number, attribute = part_name(name)
                if number is not None and (alone or number in returning):
                    self._returning.add(name)
                if name in self._returning:
                    wanted[name] = wanted.get(attribute, targets.get(attribute, 0.0))
            for name, strength in wanted.items():
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
            strengths = self._ramp.at(now)
            for name in [one for one in self._returning if strengths[one] == strengths.get(part_name(one)[1], 0.0)]:
                self._returning.remove(name)
                self._ramp.drop(name)
                del strengths[name]
            return strengths, self._rev

    @property
    def rev(self) -> int:
        """The newest revision."""
        return self._rev

    @property
    def targets(self) -> dict[str, float]:
        """What every attribute set so far is heading for; single faces' are named as `rigid.edits.face_edits` says."""
        with self._lock:
            return {name: target for name, target in self._targets().items() if name not in self._returning}

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
