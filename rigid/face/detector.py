"""MediaPipe's face detector (BlazeFace, short range) by itself: the faces in single pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.face.landmark_net import region
from rigid.face.task_nets import open_request
from rigid.face.views import View
from rigid.geometry import Transform, apply, inverse, scale_of

MEMBER = "face_detector.tflite"
"""The network within face_landmarker.task: (1, 128, 128, 3) in [-1, 1] → 896 boxes with six points each."""
SIDE = 128
GRIDS = ((16, 2), (8, 6))
"""Cells along a side, and how many boxes each cell has."""
LEAST_SCORE = 0.5
SAME_FACE = 0.3
"""Boxes whose intersection is more than this part of their union show the same face."""
BOX_SCALE = 1.5
"""MediaPipe's region for the landmark net in longest sides of the detector's box."""


@dataclass(frozen=True)
class Found:
    """A face in a picture, in the picture's pixels."""

    score: float
    low: Array
    """The box's upper left corner (2,)."""
    high: Array
    """Its lower right corner."""
    points: Array
    """The right and the left eye, as the face has them, nose, mouth and the ears (6, 2)."""


class FaceDetector:
    """Finds faces in a view of a frame. Its network is shared by the process; one call at a time."""

    def __init__(self, model_path: Path):
        """`model_path`: face_landmarker.task."""
        self._request: Any = open_request(model_path, MEMBER, SIDE, mean=127.5, scale=127.5)

    def detect(self, frame: Pixels, view: View) -> list[View]:
        """The regions of `frame`, uint8 RGB (H, W, 3), in which the landmark net finds the faces in `view`.

        Upright as the eyes say; the surest first.
        """
        return [_region(found, view) for found in self.find(view.picture(frame))]

    def find(self, picture: Pixels) -> list[Found]:
        """The faces in `picture`, uint8 RGB (H, W, 3), the surest first."""
        transform = _fit(picture)
        seen = cv2.warpAffine(picture, transform, (SIDE, SIDE))
        boxes, odds = self._request.infer([seen[None]], share_inputs=True).values()
        back = inverse(transform)
        faces = [
            (score, apply(back, points).astype(np.float32))
            for score, points in _merge(*_decode(boxes[0], odds[0, :, 0]))
        ]
        return [Found(score, points[0], points[1], points[2:]) for score, points in faces]


def _fit(picture: Pixels) -> Transform:
    """Shrink the picture into the middle of the square that the network takes, as MediaPipe places it."""
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    return np.array([[scale, 0, (SIDE - scale * width) / 2], [0, scale, (SIDE - scale * height) / 2]], np.float64)


def _lay_anchors() -> Array:
    """The middle of each box's cell (896, 2), in sides of the square."""
    laid = []
    for cells, boxes in GRIDS:
        along = (np.arange(cells) + 0.5) / cells
        across, down = np.meshgrid(along, along)
        laid.append(np.stack((across, down), -1).reshape(-1, 2).repeat(boxes, 0))
    return np.concatenate(laid).astype(np.float32)


ANCHORS = _lay_anchors()


def _decode(boxes: Array, odds: Array) -> tuple[Array, Array]:
    """The sure ones of the network's `boxes` (896, 16), whose log odds are `odds`: scores and (n, 8, 2) points.

    Those are the box's two corners and the face's six points, pixels of the square; the surest come first.
    """
    sure = np.flatnonzero(odds >= math.log(LEAST_SCORE / (1 - LEAST_SCORE)))
    sure = sure[np.argsort(-odds[sure], kind="stable")]
    points, anchors = boxes[sure].reshape(-1, 8, 2), SIDE * ANCHORS[sure]
    middle, size = points[:, 0] + anchors, points[:, 1]
    corners = np.stack((middle - size / 2, middle + size / 2), 1)
    scores = (1 / (1 + np.exp(-odds[sure]))).astype(np.float32)
    return scores, np.concatenate((corners, points[:, 2:] + anchors[:, None]), 1)


def _merge(scores: Array, points: Array) -> list[tuple[float, Array]]:
    """One of all that show the same face, its points their mean, weighted by their scores."""
    merged = []
    while len(scores):
        same = _overlap(points) > SAME_FACE
        same[0] = True
        merged.append((float(scores[0]), np.average(points[same], 0, scores[same])))
        scores, points = scores[~same], points[~same]
    return merged


def _overlap(points: Array) -> Array:
    """Intersection over union of each box with the first."""
    low, high = points[:, 0], points[:, 1]
    common = np.clip(np.minimum(high, high[0]) - np.maximum(low, low[0]), 0, None).prod(1)
    areas = (high - low).prod(1)
    return common / (areas + areas[0] - common)  # type: ignore[no-any-return]


def _region(found: Found, view: View) -> View:
    """Where in the frame a face in `view` lies."""
    (dx, dy), size = found.points[1] - found.points[0], found.high - found.low
    back = inverse(view.transform)
    side = BOX_SCALE * float(size.max()) * scale_of(back)
    middle = apply(back, (found.low + found.high) / 2)
    return region(middle, side, view.angle + math.atan2(float(dy), float(dx)))
