"""How long an edit must be, which levels should carry it, and what else it changes: all seen on held-out faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels, Region
from rigid.discovery.observe import Seen
from rigid.discovery.samples import Studio

MOST_SCALES = 4
LONGEST_STEP = 2.0
"""A round changes the length by at most this factor."""
CLOSE_TO_AIM = 0.03
"""A change this close to the wanted one, relatively, needs no further round."""
CLOSE_ENOUGH = 0.2
"""A change this close is accepted when there are no more rounds."""
TOO_WEAK = 0.05
"""An edit that reaches less than this share of the wanted change at the first try is given up."""
MOST_LOST = 0.15
"""An edit that loses more than this share of the faces is too strong."""
SURROUNDINGS_UNIT = 0.05
"""A mean change of this much, of 1, outside the face weighs as much as one standard deviation of a measure."""


@dataclass(frozen=True)
class Faces:
    """Faces made of codes, and what is seen in them."""

    codes: Array
    images: Pixels
    seen: Seen
    measures: Array

    @classmethod
    def make(cls, studio: Studio, codes: Array) -> Faces:
        """Make the faces of `codes` (N, n_codes, 512), with rows of NaN where no face is found."""
        images = studio.photograph(codes)
        seen = studio.labeller.observe(images)
        return cls(codes, images, seen, studio.labeller.measure(images, seen))

    @classmethod
    def make_found(cls, studio: Studio, codes: Array) -> Faces:
        """Make the faces of `codes`, and leave out those that are not found as faces."""
        made = cls.make(studio, codes)
        return made.where(np.flatnonzero(np.isfinite(made.measures).all(1)))

    def where(self, chosen: NDArray[np.intp]) -> Faces:
        """Choose faces by number."""
        seen = {name: array[chosen] for name, array in self.seen.items()}
        return Faces(self.codes[chosen], self.images[chosen], seen, self.measures[chosen])


@dataclass(frozen=True)
class Outcome:
    """What an edit did: mean change and mean absolute change of each measure (M,), and of the surroundings, 0 to 1."""

    change: Array
    absolute: Array
    surroundings: float
    lost: float
    """Share of faces no longer found as one."""


def try_edit(studio: Studio, faces: Faces, edit: Array) -> Outcome:
    """Add `edit` (n_codes, 512) to every face and look."""
    return compare(faces, Faces.make(studio, faces.codes + edit))


def compare(before: Faces, after: Faces) -> Outcome:
    """What changed from `before` to `after`, the same faces edited."""
    difference = after.measures - before.measures
    found = np.isfinite(difference).all(1)
    if not found.any():
        nothing = np.full(difference.shape[1], np.nan, np.float32)
        return Outcome(nothing, nothing, np.nan, 1.0)
    moved = np.abs(after.images.astype(np.float32) - before.images).mean(-1) / 255
    outside = surroundings(after.images.shape[1])
    return Outcome(
        difference[found].mean(0), np.abs(difference[found]).mean(0), float(moved[:, outside].mean()), 1 - found.mean()
    )


def surroundings(size: int) -> Region:
    """What lies outside the face in an aligned picture, (size, size): all but an ellipse."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    outside: Region = ((x - 0.5) / 0.34) ** 2 + ((y - 0.58) / 0.46) ** 2 > 1
    return outside


@dataclass(frozen=True)
class Aim:
    """A wanted mean change, in the unit of the measure in `column`; negative where it is to fall."""

    column: int
    change: float


def find_scale(
    studio: Studio,
    faces: Faces,
    edit: Array,
    aim: Aim,
    guess: float,
    *,
    close: float = CLOSE_TO_AIM,
    rounds: int = MOST_SCALES,
) -> tuple[float, Outcome] | None:
    """The multiple of `edit` that brings about the change, and what it did; None when no multiple does.

    `guess`: a first multiple, above 0. Only faces with room for the change should be given. A change within `close`
    of the aim, relatively, is close enough; after `rounds` the closest is taken, if that is within a fifth.
    """
    scale, tried = guess, []
    for _ in range(rounds):
        outcome = try_edit(studio, faces, np.float32(scale) * edit)
        reached = float(outcome.change[aim.column]) / aim.change
        if not np.isfinite(reached) or outcome.lost > MOST_LOST or reached <= TOO_WEAK:
            break
        tried.append((abs(reached - 1), scale, outcome))
        if tried[-1][0] < close:
            break
        scale *= float(np.clip(1 / reached, 1 / LONGEST_STEP, LONGEST_STEP))
    if not tried:
        return None
    error, scale, outcome = min(tried, key=lambda one: one[0])
    return (scale, outcome) if error < max(close, CLOSE_ENOUGH) else None


def side_effects(outcome: Outcome, columns: Sequence[int], deviations: Array, *, pose: bool) -> float:
    """How much besides the wanted an edit changes, given what it did at full strength; smaller is better.

    The mean over the controls' `columns` of their absolute change in `deviations` (M,), plus the change of the
    surroundings in `SURROUNDINGS_UNIT`, unless the edit is of a `pose`, which must move them.
    """
    total = float((outcome.absolute[columns] / deviations[columns]).mean()) if columns else 0.0
    return total if pose else total + outcome.surroundings / SURROUNDINGS_UNIT
