"""Which of a camera's pictures are worth editing, told by their own times and not by the order in which they come."""

from __future__ import annotations

import math
from collections import deque

WINDOW_SECONDS = 10
"""The quickest way of a picture to here is looked for among those of so long; clocks drift less than that matters."""
RUSH = 0.5
"""Pictures that come in less than this share of the time between them are what piled up on the way."""


class LeastDelay:
    """The quickest way to here of what came over the last seconds."""

    def __init__(self) -> None:
        self._ways: deque[tuple[int, float]] = deque()

    def note(self, seconds: float, now: float) -> float:
        """Add what came at `now` with `seconds` as its own time; how much the two differ where that is least."""
        second, took = math.floor(now), now - seconds
        while self._ways and self._ways[0][0] < second - WINDOW_SECONDS:
            self._ways.popleft()
        if self._ways and self._ways[-1][0] == second:
            took = min(took, self._ways.pop()[1])
        self._ways.append((second, took))
        return min(way for _, way in self._ways)


class Freshness:
    """Judges one session's pictures, in the order in which they come.

    A picture's lateness is how much longer its way took than the quickest one of the last seconds. The first one
    after a gap is late and yet the newest there is; those that rush in behind it are late for nothing, as fresher
    ones follow them. A camera whose times run slower than the clock never rushes, so that it is never cut off.
    """

    def __init__(self, most: float) -> None:
        """`most`: seconds that a picture may be late."""
        self._most = most
        self._quickest = LeastDelay()
        self._newest = -math.inf
        self._came = -math.inf

    def judge(self, seconds: float, now: float) -> str:
        """Why to leave a picture out, `reordered` or `late`, empty where it is to be edited.

        `seconds`: its time on the camera's clock; `now`: when it came, on this machine's.
        """
        if seconds <= self._newest:
            return "reordered"
        rushed = now - self._came < RUSH * (seconds - self._newest)
        late = now - seconds - self._quickest.note(seconds, now) > self._most
        self._newest, self._came = seconds, now
        return "late" if rushed and late else ""
