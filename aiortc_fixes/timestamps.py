"""RTP timestamps that stay in order where the sender's do not."""

from __future__ import annotations

from aiortc.rtcrtpreceiver import TimestampMapper

CYCLE = 2**32
CLOCK_RATE = 90_000
"""Of video, ticks a second."""
NEW_BEGIN = 900_000
"""Ten seconds of video: no frame comes as late as that, so that a sender which goes back further began anew."""


class SerialTimestampMapper(TimestampMapper):
    """Unwraps 32-bit timestamps by their distance from the last one (RFC 1982's serial arithmetic).

    aiortc takes each smaller one for a wrap: one frame out of order, as H.264's B-frames are, puts all that follow
    thirteen hours ahead, and is itself taken for the newest.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mapped = 0

    def map(self, timestamp: int) -> int:
        """Ticks since the first frame; less than before for one that is late."""
        before = timestamp if self._last is None else self._last
        step = (timestamp - before + CYCLE // 2) % CYCLE - CYCLE // 2
        self._last = timestamp
        # What follows a new begin goes on where the old one ended, as nothing else tells how much time passed.
        self._mapped += step if step > -NEW_BEGIN else 1
        return self._mapped

    def begin_anew(self, ticks: int) -> None:
        """The next one is of another sender, whose count began elsewhere; it comes so many ticks after the last."""
        self._last = None
        self._mapped += max(1, ticks)
