"""From a frame to the aligned face: landmarks, the choice of a face, smoothing, the FFHQ crop.

Coordinates are continuous: the centre of a picture's first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.face.faces import Face, FaceMemory, choose_face
from rigid.face.landmarker import FaceLandmarker
from rigid.face.landmarks import LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE
from rigid.face.smoothing import LandmarkSmoother
from rigid.geometry import Points, Transform, apply, resample

__all__ = [
    "Face",
    "FaceFinder",
    "FaceLandmarker",
    "FaceTracker",
    "LandmarkSmoother",
    "TrackedFace",
    "choose_face",
    "crop",
    "ffhq_transform",
]


def ffhq_transform(landmarks: Points, size: int = 256) -> Transform:
    """The similarity that takes a frame to its FFHQ-aligned crop of `size`², float64 (2, 3).

    `landmarks` (478, 2), frame pixels. The recipe of FFHQ: the crop's x axis is the mean of the line between
    the eyes and the normal of the line from eyes to mouth; its half side the larger of 2.0 eye distances and
    1.8 eye-to-mouth distances; its centre a tenth of the way from the eyes to the mouth.
    """
    points = np.asarray(landmarks, np.float64)
    left, right = points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0)
    eyes, across = (left + right) / 2, right - left
    down = points[MOUTH_CORNERS].mean(0) - eyes
    axis = across + np.array([down[1], -down[0]])
    axis /= max(float(np.hypot(*axis)), 1e-9)
    half_side = max(2.0 * float(np.hypot(*across)), 1.8 * float(np.hypot(*down)), 1e-3)
    linear = size / (2 * half_side) * np.array([[axis[0], axis[1]], [-axis[1], axis[0]]])
    return np.column_stack((linear, size / 2 - linear @ (eyes + 0.1 * down)))


def crop(frame: Pixels, transform: Transform, size: int = 256) -> Pixels:
    """The aligned crop, uint8 (size, size, 3), of `frame`, uint8 (H, W, 3).

    `transform`: frame → crop, from `ffhq_transform`. Large faces are averaged down, not sampled; beyond the
    frame's border the picture is reflected.
    """
    return resample(frame, transform, (size, size))


@dataclass(frozen=True)
class TrackedFace:
    """The face that a stream edits, in one frame."""

    face: Face
    """As the landmarker saw it."""
    landmarks: Array
    """(478, 2) smoothed, frame pixels."""
    transform: Transform
    """Frame → aligned crop, (2, 3)."""
    new: bool
    """True on a face's first frame: none was there before, or it was another one."""
    faces: int = 1
    """How many are in the frame, this one among them, as seen within the last second."""

    @property
    def landmarks_in_crop(self) -> Array:
        """(478, 2) smoothed, crop pixels."""
        return apply(self.transform, self.landmarks).astype(np.float32)


class FaceFinder(Protocol):
    """What a tracker asks of a landmarker; `FaceLandmarker` is one."""

    @property
    def others(self) -> int:
        """How many faces are known to be beside the one that is followed; `detect` may return some of them."""

    def detect(self, frame: Pixels, timestamp_ms: int) -> list[Face]:
        """The faces in `frame`, uint8 RGB (H, W, 3), at `timestamp_ms`."""

    def close(self) -> None:
        """Free what it holds; safe to call twice."""


class FaceTracker:
    """Follows one face through a video: the one nearest to the last, else the largest; landmarks smoothed."""

    def __init__(self, landmarker: FaceFinder, size: int = 256):
        """`size`: side of the aligned crop, pixels."""
        self.landmarker = landmarker
        self.size = size
        self._smoother = LandmarkSmoother()
        self._memory = FaceMemory()

    def track(self, frame: Pixels, timestamp: float) -> TrackedFace | None:
        """The followed face in `frame`, uint8 RGB (H, W, 3), taken at `timestamp` seconds; None without a face."""
        faces = self.landmarker.detect(frame, round(timestamp * 1000))
        face = choose_face(faces, self._memory.recall(timestamp))
        if face is None:
            return None
        self._memory.remember(face, timestamp)
        new = not self._smoother.continues(face.landmarks, timestamp)
        landmarks = self._smoother.smooth(face.landmarks, timestamp)
        return TrackedFace(face, landmarks, ffhq_transform(landmarks, self.size), new, 1 + self.landmarker.others)

    def reset(self) -> None:
        """Forget the face, as at a cut."""
        self._memory.forget()
        self._smoother.reset()

    def close(self) -> None:
        """Close the landmarker; safe to call twice."""
        self.landmarker.close()
