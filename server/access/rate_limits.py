"""How often somebody may do something: each has a bucket that fills evenly, so that bursts pass and floods do not."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_BUCKETS = 1024


class RateLimit:
    """A bucket for each name, full at first; the one that was used longest ago is forgotten beyond `MOST_BUCKETS`."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`burst`: what a bucket holds. `per_second`: how fast it fills."""
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str = "") -> float:
        """Tell in how many seconds `take` will be allowed; 0 where it is now."""
        return max(0.0, 1 - self._level(name)) / self._per_second

    def take(self, name: str = "") -> float:
        """Take one from a bucket that has one; the seconds to wait where it has none, 0 where it had."""
        level, wait = self._level(name), self.wait(name)
        self._buckets[name] = (level if wait else level - 1, self._clock())
        self._buckets.move_to_end(name)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return wait

    def _level(self, name: str) -> float:
        now = self._clock()
        level, at = self._buckets.get(name, (self._burst, now))
        return min(self._burst, level + (now - at) * self._per_second)
