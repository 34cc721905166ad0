"""MediaPipe's landmark net run by itself, on a region of the frame that is already known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Pixels
from rigid.face.landmarks import N_LANDMARKS, OUTER_EYE_CORNERS
from rigid.face.task_nets import open_request
from rigid.face.views import View
from rigid.geometry import apply, glance, inverse, rotate, similarity

MEMBER = "face_landmarks_detector.tflite"
"""The net within face_landmarker.task: (1, 256, 256, 3) → 478 points and the face's presence."""
SIDE = 256
"""Pixels of the square picture that the net takes."""
REGION_SCALE, REGION_DROP = 1.38, 0.025
"""A region's side in sides of the landmarks' box, and how far down it lies from the box's middle, in its own sides.

MediaPipe tracks a face with 1.5 and 0. These are what its face detector gives on average, and what it sees every frame
with: so a face seen in its own last landmarks is seen as one that was just found. See docs/performance.md.
"""
STEADY_SHIFT, STEADY_SCALE, STEADY_TURN = 0.08, 1.1, 0.15
"""Regions that differ by less (in sides, in scale, in radians) show the net the same landmarks but for its noise."""
ALIGNED_CENTRE, ALIGNED_SIDE = (0.5, 0.55), 0.75
"""The region of a face in its aligned picture, in sides of that."""
PASSES = 3
"""So often a face that moved is looked at again, each time where it was just seen."""


@dataclass(frozen=True)
class Seen:
    """What the net sees in a region."""

    landmarks: NDArray[np.float32]
    """(478, 2), pixels of the frame."""
    score: float
    """How sure the net is that the region shows a face: log odds, above 0 rather yes than no."""
    steady: bool
    """Whether the region was the landmarks' own, so that they can be trusted to a pixel."""


def region(centre: NDArray[np.floating[Any]], side: float, angle: float) -> View:
    """The square window about `centre` (2,) of `side` frame pixels, its x axis along `angle`, as the net takes it."""
    side = max(float(side), 4.0)
    place = float(centre[0]), float(centre[1])
    return View(similarity(np.array(place), side, angle, (SIDE, SIDE)), (SIDE, SIDE), place, side, angle)


def region_of(landmarks: NDArray[np.float32]) -> View:
    """Return where the net sees the face whose landmarks (478, 2) are these, upright."""
    left, right = landmarks[list(OUTER_EYE_CORNERS)]
    angle = math.atan2(float(right[1] - left[1]), float(right[0] - left[0]))
    upright = rotate(landmarks, -angle)
    low, high = upright.min(0), upright.max(0)
    side = REGION_SCALE * float((high - low).max())
    return region(rotate((low + high) / 2 + np.array([0.0, REGION_DROP * side]), angle), side, angle)


def is_steady(before: View, now: View) -> bool:
    """Whether the net sees the same in both regions."""
    turned = abs(math.remainder(before.angle - now.angle, 2 * math.pi))
    resized = max(before.side / now.side, now.side / before.side)
    return math.dist(before.centre, now.centre) < STEADY_SHIFT * before.side and (
        resized < STEADY_SCALE and turned < STEADY_TURN
    )


class LandmarkNet:
    """The net; all of a process share one, each with a request of its own. One call at a time."""

    def __init__(self, model_path: Path):
        """`model_path`: face_landmarker.task."""
        self._request: Any = open_request(model_path, MEMBER, SIDE, mean=0.0, scale=255.0)

    def see(self, frame: Pixels, where: View) -> Seen:
        """The landmarks of the face near `where` in `frame`, uint8 RGB (H, W, 3), looked at again where it moved."""
        for _ in range(PASSES):
            landmarks, score = self._run(frame, where)
            now = region_of(landmarks)
            steady = is_steady(where, now)
            if steady or score < 0:
                break
            where = now
        return Seen(landmarks, score, steady and score >= 0)

    def see_aligned(self, picture: Pixels) -> Seen:
        """The landmarks of the face in an aligned `picture`, uint8 RGB (S, S, 3), in sides of it."""
        size = len(picture)
        seen = self.see(picture, region(np.array(ALIGNED_CENTRE) * size, ALIGNED_SIDE * size, 0.0))
        return replace(seen, landmarks=seen.landmarks / np.float32(size))

    def _run(self, frame: Pixels, where: View) -> tuple[NDArray[np.float32], float]:
        points, score, _ = self._request.infer(
            [glance(frame, where.transform, where.size)[None]], share_inputs=True
        ).values()
        inside = points.reshape(N_LANDMARKS, 3)[:, :2]
        return apply(inverse(where.transform), inside).astype(np.float32), float(score.item())
