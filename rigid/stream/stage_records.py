"""What a stream's stages hand to each other for one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rigid.edits.edit_effect import FACE_ONLY, Reach
from rigid.geometry import Points, Transform
from rigid.models.contract import Array
from rigid.stopwatch import Stopwatch

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Sighting:
    """Where the face is: seen in this frame, or followed from the last one for as long as its edit fades."""

    transform: Transform
    """Frame → crop."""
    landmarks: Points
    """(478, 2), crop pixels."""
    crop: Pixels
    """(S, S, 3)."""
    frame_shape: tuple[int, ...]
    faces: int = 1
    """How many are in the frame, this one among them."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the landmarks, frame pixels; they may lie beyond the frame."""
        linear, shift = self.transform[:, :2], self.transform[:, 2]
        points = np.linalg.solve(linear, (self.landmarks - shift).T)
        left, top = points.min(1)
        right, bottom = points.max(1)
        return float(left), float(top), float(right), float(bottom)


@dataclass(frozen=True)
class Located:
    """A frame in which the face has been looked for: what `FaceStream.locate` hands to `generate`."""

    frame: Pixels
    timestamp: float
    watch: Stopwatch
    sighting: Sighting | None = None
    """None where no face was found."""
    error: Exception | None = None


@dataclass(frozen=True)
class Generated:
    """A frame with its faces: what `FaceStream.generate` hands to `blend`."""

    frame: Pixels
    watch: Stopwatch
    face: bool
    """Whether one was found."""
    faults: int
    """How many frames were known not to have been blended when this one was generated."""
    anew: bool = True
    """Whether nothing that earlier frames left is to be blended with."""
    level: float = 0.0
    """How far the edit is faded in; 0 where nothing is to be blended."""
    sighting: Sighting | None = None
    pictures: Array | None = None
    """What `rigid.inversion.inverter.Inverted` has: the inverted and the edited face, maybe a third."""
    parts: Array | None = None
    """What the face parser makes of the real and of the edited face, (2, C, n, n); None without one."""
    edits: Mapping[str, float] = field(default_factory=dict)
    """What they differ by."""
    reach: Reach = FACE_ONLY
    """How far the edit goes."""
    again: bool = False
    """Whether they were made for an earlier frame."""
    error: Exception | None = None
