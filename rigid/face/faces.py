"""A face in a frame, and which of several is followed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rigid.arrays import Array
from rigid.face.landmarks import LEFT_EYE, RIGHT_EYE
from rigid.face.smoothing import face_length

SAME_FACE = 0.5
"""Two results overlapping by this much (intersection over union) are one face found twice."""
REMEMBERED_SECONDS = 1.0
"""For so long a face that was followed may come back."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Face:
    """One face in one frame."""

    landmarks: Array
    """(478, 2) x, y in frame pixels, continuous: the first pixel's centre is (0.5, 0.5). May lie outside the frame."""
    blendshapes: dict[str, float] = field(default_factory=dict)
    """52 expression scores in [0, 1] by name; empty unless asked for."""
    pose: Array | None = None
    """(4, 4) head pose, canonical face → camera (x right, y up, z towards the viewer), None unless asked for."""

    @property
    def box(self) -> Box:
        """Left, top, right and bottom of the landmarks, frame pixels."""
        left, top = self.landmarks.min(0)
        right, bottom = self.landmarks.max(0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def centre(self) -> Array:
        """Middle of the box, (2,)."""
        middle: Array = (self.landmarks.min(0) + self.landmarks.max(0)) / 2
        return middle

    @property
    def length(self) -> float:
        """√(width · height) of the box, pixels."""
        return face_length(self.landmarks)

    @property
    def roll(self) -> float:
        """Direction from the left to the right eye, radians; 0 is upright, positive clockwise."""
        dx, dy = self.landmarks[RIGHT_EYE].mean(0) - self.landmarks[LEFT_EYE].mean(0)
        return math.atan2(float(dy), float(dx))


def choose_face(faces: Sequence[Face], last: Face | None) -> Face | None:
    """The face nearest to `last`, else the largest; None of none."""
    if not faces:
        return None
    if last is None:
        return max(faces, key=lambda face: face.length)
    where = last.centre
    return min(faces, key=lambda face: float(np.linalg.norm(face.centre - where)))


class FaceMemory:
    """Which face was followed last, for as long as it may come back."""

    def __init__(self) -> None:
        self._face: Face | None = None
        self._time = 0.0

    def recall(self, time: float) -> Face | None:
        """The face remembered, None when it was never seen or longer before `time`, seconds."""
        return self._face if time - self._time <= REMEMBERED_SECONDS else None

    def remember(self, face: Face, time: float) -> None:
        """`face` was followed at `time` seconds."""
        self._face, self._time = face, time

    def forget(self) -> None:
        """Forget every face that was seen."""
        self._face = None


def distinct(faces: Sequence[Face]) -> list[Face]:
    """`faces` without those that lie where an earlier one does."""
    kept: list[Face] = []
    for face in faces:
        if all(overlap(face.box, other.box) < SAME_FACE for other in kept):
            kept.append(face)
    return kept


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return both / (areas - both)
