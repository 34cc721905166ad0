"""A part of the frame that stands still while the face moves in it."""

from __future__ import annotations

import cv2
import numpy as np

from rigid.arrays import Pixels, Region
from rigid.files.clips import Track
from rigid.geometry import Transform, apply, corners, inverse, resample


class FaceWindow:
    """The smallest upright square that holds every aligned crop of a clip."""

    def __init__(self, track: Track, crop_size: int) -> None:
        """`track` shows a face at least once; `crop_size`: side of its crops, pixels."""
        square = corners(crop_size, crop_size)
        quads = np.concatenate([apply(inverse(face.transform), square) for face in track.faces if face is not None])
        low, high = quads.min(0), quads.max(0)
        self._side = float((high - low).max())
        self._corner = (low + high - self._side) / 2

    def show(self, frame: Pixels, size: int) -> Pixels:
        """What the window shows of `frame` (H, W, 3), as (size, size, 3)."""
        scale = size / self._side
        return resample(frame, np.column_stack((np.eye(2) * scale, -self._corner * scale)), (size, size))


def crop_area(transform: Transform, crop_size: int, shape: tuple[int, ...]) -> Region:
    """Find where in a frame of `shape` (H, W, ...) the aligned crop lies; `transform`: frame → crop."""
    area = np.zeros(shape[:2], np.uint8)
    quad = apply(inverse(transform), corners(crop_size, crop_size)) - 0.5
    cv2.fillConvexPoly(area, np.rint(quad.clip(-(2**20), 2**20)).astype(np.int32), 1)
    return area.astype(bool)
