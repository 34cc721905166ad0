"""Edits that glide to their new strength. Pure: the caller brings the time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from rigid.fields import smooth

Easing = Literal["smooth", "linear", "ease_in", "ease_out"]
EASINGS: tuple[Easing, ...] = get_args(Easing)
CURVES: dict[Easing, Callable[[float], float]] = {
    "smooth": smooth,
    "linear": lambda x: x,
    "ease_in": lambda x: x * x,
    "ease_out": lambda x: x * (2.0 - x),
}
"""From the share of the time gone, 0 to 1, to the share of the way made: all rise, and none overshoots."""


@dataclass(frozen=True)
class _Glide:
    """One attribute's way from `start` to `target`, begun at `began` and taking `seconds`."""

    start: float
    target: float
    began: float
    seconds: float
    easing: Easing = "smooth"

    def at(self, now: float) -> float:
        if now >= self.began + self.seconds:
            return self.target
        progress = max(0.0, (now - self.began) / self.seconds)
        return self.start + (self.target - self.start) * CURVES[self.easing](progress)


class EditRamp:
    """The strengths of a stream over time: smooth, monotone from where each one is to its target."""

    def __init__(self) -> None:
        self._glides: dict[str, _Glide] = {}

    def set(self, edits: Mapping[str, float], ramp_seconds: float, now: float, easing: Easing = "smooth") -> None:
        """Start moving the attributes in `edits` to their new strengths; the others stay as they are.

        `ramp_seconds`: how long it takes, 0 at once. `now`: seconds on any clock, the same as `at` is given.
        A target already being approached keeps its way, so that repeating a request does not slow it.
        Raises ValueError for a time that is negative or not finite, a strength that is not finite, or an unknown
        easing.
        """
        if not math.isfinite(ramp_seconds) or ramp_seconds < 0:
            raise ValueError(f"The ramp is {ramp_seconds:g} seconds; give a time of 0 or more.")
        if not math.isfinite(now):
            raise ValueError(f"The time is {now:g} seconds; give a finite time.")
        if easing not in CURVES:
            raise ValueError(f"There is no easing {easing!r}; give a name of: {', '.join(EASINGS)}.")
        for name, strength in edits.items():
            if not math.isfinite(strength):
                raise ValueError(f"The strength of {name!r} is {strength:g}; give a finite number.")
        for name, strength in edits.items():
            self._start(name, float(strength), ramp_seconds, now, easing)

    def drop(self, name: str) -> None:
        """Forget an attribute, as if it had never been set."""
        self._glides.pop(name, None)

    def _start(self, name: str, target: float, seconds: float, now: float, easing: Easing) -> None:
        glide = self._glides.setdefault(name, _Glide(0.0, 0.0, now, 0.0))
        if glide.target == target and now + seconds >= glide.began + glide.seconds:
            return
        self._glides[name] = _Glide(glide.at(now), target, now, seconds, easing)

    def at(self, now: float) -> dict[str, float]:
        """Return every attribute set so far with its strength at `now`."""
        return {name: glide.at(now) for name, glide in self._glides.items()}

    @property
    def targets(self) -> dict[str, float]:
        """Every attribute set so far with the strength it is heading for."""
        return {name: glide.target for name, glide in self._glides.items()}
