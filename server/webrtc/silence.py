"""How long nothing came from the other end, as far as this process can tell."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_SECONDS = 2.0
"""So much a look counts for at most; it is looked once a second."""


class Silence:
    """Counts the seconds since the other end was heard, but for those in which this process stood still.

    On a machine that has too much to do, or slept, nobody is heard until this process has its turn again: what came
    meanwhile is read only then.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: the monotonic one, seconds, on which it is told when the other end was heard."""
        self._clock = clock
        self._looked = clock()
        self._seconds = 0.0

    def look(self, heard: float) -> float:
        """Seconds of silence where the other end was last `heard` then; to be asked about once a second."""
        now = self._clock()
        if heard > self._looked:
            self._seconds = 0.0
        self._seconds += min(now - max(heard, self._looked), MOST_SECONDS)
        self._looked = now
        return self._seconds
