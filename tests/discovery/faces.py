"""A face made of landmarks by hand, as a landmarker would report it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.discovery.observe import BLENDSHAPES, BROW_POINTS
from rigid.face.faces import Face
from rigid.face.landmarks import CHIN


def turned(axis: int, degrees: float) -> Array:
    """A pose turned about x (0), y (1) or z (2), right-handed, 3 times as large as life and far away."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    pose = np.eye(4, dtype=np.float32)
    pose[a, a], pose[b, b], pose[a, b], pose[b, a] = cos, cos, -sin, sin
    pose[:3, :3] *= 3
    pose[:3, 3] = 1, 2, -40
    return pose


def landmarks() -> Array:
    """A face 100 pixels wide round (128, 128) with brows at 90, chin at 190, eyes at 110."""
    points = np.full((478, 2), 128, np.float32)
    points[0], points[1] = (78, 128), (178, 128)
    points[list(BROW_POINTS)] = 128, 90
    points[CHIN] = 128, 190
    points[[33, 133, 362, 263]] = [(88, 110), (113, 110), (143, 110), (168, 110)]
    points[13], points[14] = (128, 150), (128, 170)
    return points


class HandMadeLandmarker:
    """Finds a face in pictures that are not black."""

    def __init__(self) -> None:
        self.timestamps: list[int] = []

    def reset(self) -> None:
        """Noted as -1."""
        self.timestamps.append(-1)

    def detect(self, frame: NDArray[np.uint8], timestamp_ms: int) -> list[Face]:
        """The one face, smiling on one side, turned by 10 degrees."""
        self.timestamps.append(timestamp_ms)
        shapes = dict.fromkeys(BLENDSHAPES, 0.25) | {"mouthSmileLeft": 0.75}
        return [Face(landmarks(), shapes, turned(1, 10))] if frame.any() else []
