"""Keeps pictures younger than a stated budget by doing less.

What is hardly seen goes first: the inverted face less often, then fewer pictures, then the networks less often.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rigid.stream.face_stream import LIVE_INVERTED_AFTER


@dataclass(frozen=True)
class Pace:
    """How much is done for one session."""

    max_fps: float | None
    """Pictures a second that are taken on; None for all that come."""
    cadence: int
    """The networks run for each so many pictures; between them, what they made last is blended on."""
    inverted_after: float
    """How far a face moves before the inverted one is drawn anew; see `rigid.stream.face_stream.StreamOptions`."""


FAR = 12 / 256
"""A face that may move three times as far has its inverted one drawn for one picture in ten, not in three, which is a
sixth of the generator's time; a smile shows 1% less."""
PACES = (
    Pace(None, 1, LIVE_INVERTED_AFTER),
    Pace(None, 1, FAR),
    Pace(20.0, 1, FAR),
    Pace(15.0, 1, FAR),
    Pace(10.0, 1, FAR),
    Pace(10.0, 2, FAR),
    Pace(10.0, 3, FAR),
)
LATE_LOOKS = 2
"""So many looks over the budget in a row, and less is done."""
EARLY_LOOKS = 5
"""So many well under it, and more is done again."""
EASY_SHARE = 0.7
UNEVENNESS = 0.9
"""Of the time between two pictures, which never come evenly."""


class Pacer:
    """The pace of one session. `budget`: seconds that 95 of 100 pictures must stay under, None for no budget."""

    def __init__(self, budget: float | None) -> None:
        self._budget = budget
        self._level = 0
        self._late = 0
        self._early = 0
        self._taken_at: float | None = None

    @property
    def pace(self) -> Pace:
        """How much is done now."""
        return PACES[self._level]

    def takes(self, now: float) -> bool:
        """Whether a picture that comes at `now` is taken on."""
        fps = self.pace.max_fps
        if fps is not None and self._taken_at is not None and now - self._taken_at < UNEVENNESS / fps:
            return False
        self._taken_at = now
        return True

    def note_age(self, age: float | None) -> None:
        """Do less, or more again, by `age`, seconds: 95 of 100 of the last seconds' pictures were younger when sent.

        None where none was sent; nothing then changes.
        """
        if self._budget is None or age is None:
            return
        self._late = self._late + 1 if age > self._budget else 0
        self._early = self._early + 1 if age < EASY_SHARE * self._budget else 0
        if self._late >= LATE_LOOKS and self._level + 1 < len(PACES):
            self._change(1)
        elif self._early >= EARLY_LOOKS and self._level > 0:
            self._change(-1)

    def _change(self, step: int) -> None:
        self._level += step
        self._late = self._early = 0

    def describe(self) -> dict[str, object]:
        """Describe the pace, ready for JSON."""
        return {"level": self._level, **asdict(self.pace)}
