"""What an edit changes of a face: it lasts longer than a frame, and stands in for an inverted face that is not drawn.

The inverted face O is never shown: the composite compares it with the edited one, E, at a quarter of its size, and the
recurrent encoder is given it with the next frame. In an aligned crop E - O hardly changes while the face in it keeps
its expression, so that E less an earlier frame's difference serves as O, and the generator has one picture to draw
where it had two. The difference is kept in full: made small and large again it is softer, and so little is then seen to
have changed that the real face stays where E belongs.

Once the face has moved in the crop, a mouth or a lid, the difference is another one, and O is drawn beside E. So that
few frames have to wait for that, O is drawn before: for a frame of a face that has moved somewhat, once it has been
shown with the O that was inferred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

import numpy as np

from rigid.arrays import Array
from rigid.geometry import Points

OLDEST = 12
"""Frames after which O is drawn anew though nothing moved: light changes, too."""
SOON = 0.75
"""The share of what a face may move from which O is drawn for the next frames. On nine clips at their own rates both
are then drawn at the same time for 7 frames of 100, not for 16, and O for 22 in all."""
MOST = 0.95
"""The share of landmarks that tells how far a face has moved: one that was seen wrongly is not to."""


class Use(Enum):
    """What a difference between O and E is good for."""

    NONE = auto()
    """Nothing: O is to be drawn."""
    LAST = auto()
    """O is inferred by it, and drawn afterwards."""
    WHOLE = auto()
    """O is inferred by it."""


@dataclass(frozen=True, eq=False)
class EditChange:
    """What edits changed of a face in a frame of which both pictures were drawn."""

    edits: Mapping[str, float]
    """The edits, as they were shown."""
    landmarks: Points
    """Where the face was, (478, 2), crop pixels."""
    difference: Array
    """E - O, (1, 3, S, S) in [-1, 1] values."""
    age: int = 0
    """How many frames ago that was."""

    @classmethod
    def between(cls, pictures: Array, edits: Mapping[str, float], landmarks: Points) -> EditChange:
        """The change from the first to the second of `pictures` (2, 3, S, S), of a face at `landmarks` (478, 2)."""
        return cls(dict(edits), landmarks, pictures[1:2] - pictures[:1])

    def find_use(self, edits: Mapping[str, float], landmarks: Points, farthest: float) -> Use:
        """What the change is good for in the next frame, which is made with `edits` of a face at `landmarks`.

        `farthest`: pixels that a face must have moved less than; 0 for never.
        """
        moved = find_movement(self.landmarks, landmarks)
        if self.edits != edits or moved >= farthest:
            return Use.NONE
        return Use.LAST if moved >= SOON * farthest or self.age + 1 >= OLDEST else Use.WHOLE

    def one_frame_later(self) -> EditChange:
        """The same change, known for one frame more."""
        return replace(self, age=self.age + 1)

    def undo(self, edited: Array) -> Array:
        """O, as far as it can be told from E, `edited` (1, 3, S, S), and E itself, (2, 3, S, S)."""
        pictures = edited.repeat(2, 0)
        pictures[:1] -= self.difference
        return pictures


def find_movement(before: Points, now: Points) -> float:
    """How far a face has moved in its crop, pixels: what `MOST` of its landmarks (478, 2) do not exceed.

    NumPy's quantile says the same in ten times the time.
    """
    moved = np.linalg.norm(now - before, axis=1)
    place = MOST * (len(moved) - 1)
    low, high = math.floor(place), math.ceil(place)
    parted = np.partition(moved, (low, high))
    return float(parted[low] + (place - low) * (parted[high] - parted[low]))
