"""Small things done to pictures and to fields over them: float32 (n, n[, C])."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", float, NDArray[np.float32], NDArray[np.float64])


def smooth(share: Value) -> Value:
    """`share`, 0 to 1, with a gentle begin and end."""
    return share * share * (3 - 2 * share)


def rise(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end` on, straight between."""
    return min(max((value - start) / (end - start), 0.0), 1.0)


def ramp(values: NDArray[np.float32], start: float, end: float) -> NDArray[np.float32]:
    """0 up to `start`, 1 from `end` on, smooth between."""
    return smooth(np.asarray(np.clip((values - start) / (end - start), 0.0, 1.0), np.float32))


def resize(picture: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """`picture` (S, S[, C]) as (size, size[, C]), averaged when it shrinks."""
    how = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (size, size), interpolation=how)  # type: ignore[return-value]


def planes(picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The channels of `picture` (n, m, C), (n, m) each and contiguous."""
    return list(cv2.split(picture))  # type: ignore[arg-type]


def largest(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest of the three channels (n, n, 3) at each pixel."""
    red, green, blue = planes(picture)
    return cv2.max(cv2.max(red, green), blue)  # type: ignore[return-value]


def mismatch(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure by how much two pictures (n, n, 3) differ at each pixel: the largest difference of the three channels."""
    return largest(cv2.absdiff(first, second))  # type: ignore[arg-type]


def repeat_for_flow(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat `values` (n, n) for x and y of a flow, (n, n, 2): NumPy multiplies by it faster than by broadcasting."""
    return cv2.merge((values, values))  # type: ignore[return-value]


def blur(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)  # type: ignore[return-value]
