"""What edits a clip gets at which time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rigid.edits.ramp import EditRamp

RAMP_SECONDS = 0.4
"""How long a scheduled edit takes to reach its strength."""


@dataclass(frozen=True)
class ScheduledEdit:
    """An attribute that starts to change at a time of the clip."""

    seconds: float
    """The time from the clip's first frame on."""
    name: str
    strength: float


def parse_edit(text: str) -> tuple[str, float]:
    """`smile=0.8` as ("smile", 0.8); ValueError when it is not of that form."""
    name, separator, value = text.partition("=")
    strength = _number(value)
    if not separator or not name.strip() or not math.isfinite(strength):
        raise ValueError(f"{text!r} is not an edit; write NAME=STRENGTH, such as smile=0.8.")
    return name.strip(), strength


def parse_scheduled(text: str) -> ScheduledEdit:
    """`2.5:age=1` as the edit `age=1` from 2.5 seconds on; ValueError when it is not of that form."""
    start, separator, edit = text.partition(":")
    seconds = _number(start)
    if not separator or not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{text!r} is not a timed edit; write SECONDS:NAME=STRENGTH, such as 2.5:age=1.")
    return ScheduledEdit(seconds, *parse_edit(edit))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


class Timeline:
    """The strengths at each time of a clip: the edits from the start, and the scheduled ones as they come."""

    def __init__(self, edits: Mapping[str, float], schedule: Sequence[ScheduledEdit]) -> None:
        self._ramp = EditRamp()
        self._ramp.set(edits, 0.0, 0.0)
        self.unreached = sorted(schedule, key=lambda entry: entry.seconds)
        """Scheduled edits whose time has not come yet."""

    def at(self, seconds: float) -> dict[str, float]:
        """The strengths at `seconds`, which must not fall from call to call."""
        while self.unreached and self.unreached[0].seconds <= seconds:
            entry = self.unreached.pop(0)
            # what is set at the very start has nothing to glide from
            ramp_seconds = RAMP_SECONDS if entry.seconds > 0 else 0.0
            self._ramp.set({entry.name: entry.strength}, ramp_seconds, entry.seconds)
        return self._ramp.at(seconds)
