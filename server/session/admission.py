"""How many pictures a second this machine edits, as measured, and whether that leaves room for another session."""

from __future__ import annotations

from collections import deque

WINDOW = 6
"""Looks, one a second."""
LEAST_LOOKS = 3
FULL_SHARE = 0.9
"""Where fewer than this share of the pictures that come are edited, the machine does all it can."""


class Capacity:
    """Told once a second how many pictures have come and been edited, of all sessions together."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, int]] = deque(maxlen=WINDOW)

    def observe(self, now: float, received: int, processed: int) -> None:
        """Note the counts up to `now`, seconds; they never fall."""
        self._looks.append((now, received, processed))

    @property
    def rate(self) -> float:
        """Pictures a second that are edited now."""
        if len(self._looks) < 2 or self._looks[-1][0] <= self._looks[0][0]:
            return 0.0
        return (self._looks[-1][2] - self._looks[0][2]) / (self._looks[-1][0] - self._looks[0][0])

    @property
    def limit(self) -> float | None:
        """Pictures a second that can be edited; None while there is room to spare, or too little was seen."""
        if len(self._looks) < LEAST_LOOKS:
            return None
        (began, received_before, processed_before), (ended, received, processed) = self._looks[0], self._looks[-1]
        came, edited = received - received_before, processed - processed_before
        if ended <= began or edited >= FULL_SHARE * came:
            return None
        return edited / (ended - began)

    def share(self, sessions: int) -> float | None:
        """Pictures a second that each of so many sessions would get; None where there is room to spare."""
        limit = self.limit
        return None if limit is None else limit / max(1, sessions)
