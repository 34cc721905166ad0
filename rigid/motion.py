"""Motion between two faces as their landmarks tell it: a dense, smooth field for the transfer composite."""

from __future__ import annotations

from functools import cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.geometry import Points

Flow = NDArray[np.float32]
GRID = 32
"""Places a side at which the field is worked out; between them it is interpolated."""
REACH = 0.028
"""Standard deviation of a landmark's influence, crop sides: about the distance between two of them."""
STILL = 0.05
"""Weight of standing still, in landmarks: where none is near, nothing moves."""


class LandmarkFinder(Protocol):
    """Finds a face's landmarks in an aligned crop; `rigid.compositing.CropLandmarker` is one."""

    def __call__(self, crop: NDArray[np.uint8]) -> Points | None:
        """`crop`, uint8 RGB (S, S, 3) → landmarks (478, 2) in crop pixels; None where no face is found."""

    def close(self) -> None:
        """Free what it holds; safe to call twice."""


def landmark_flow(edited: Points, inverted: Points, crop_size: int, size: int) -> Flow:
    """f with E(x) ≈ O(x + f(x)), (size, size, 2) in pixels at `size`.

    `edited`, `inverted`: landmarks (N, 2) of E and O in pixels of a crop of `crop_size`. The field is their
    displacements' mean, weighted by distance (Nadaraya-Watson).
    """
    at = np.asarray(edited, np.float32) / crop_size
    moves = (np.asarray(inverted, np.float32) / crop_size - at) * size
    apart = _places()[:, None] - at[None]
    weights = np.exp(np.square(apart).sum(-1) / np.float32(-2 * REACH**2))
    field = weights @ moves / (weights.sum(1, keepdims=True) + np.float32(STILL))
    coarse = np.ascontiguousarray(field.reshape(GRID, GRID, 2))
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


@cache
def _places() -> NDArray[np.float32]:
    """Centres of the grid's cells (GRID², 2) in crop sides."""
    middle = (np.arange(GRID, dtype=np.float32) + np.float32(0.5)) / np.float32(GRID)
    places: NDArray[np.float32] = np.stack(np.meshgrid(middle, middle), -1).reshape(-1, 2)
    return places
