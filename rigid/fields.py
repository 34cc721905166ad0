"""Small things done to pictures and to fields over them: float32 (n, n[, C])."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels

Value = TypeVar("Value", float, Array, NDArray[np.float64])


def smooth(share: Value) -> Value:
    """`share`, 0 to 1, with a gentle begin and end."""
    return share * share * (3 - 2 * share)


def rise(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end` on, straight between."""
    return min(max((value - start) / (end - start), 0.0), 1.0)


def ramp(values: Array, start: float, end: float) -> Array:
    """0 up to `start`, 1 from `end` on, smooth between."""
    return smooth(np.asarray(np.clip((values - start) / (end - start), 0.0, 1.0), np.float32))


def from_pixels(pixels: Pixels) -> Array:
    """`pixels` as values in [-1, 1], the same shape."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def to_pixels(values: Array) -> Pixels:
    """`values` in [-1, 1] as pixels, rounded and clamped, the same shape."""
    return np.asarray(np.clip(np.rint((values + 1) * 127.5), 0, 255), np.uint8)


def resize(picture: Array, size: int) -> Array:
    """`picture` (S, S[, C]) as (size, size[, C]), averaged when it shrinks."""
    how = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (size, size), interpolation=how)  # type: ignore[return-value]


def planes(picture: Array) -> list[Array]:
    """The channels of `picture` (n, m, C), (n, m) each and contiguous."""
    return list(cv2.split(picture))  # type: ignore[arg-type]


def to_crop(image: Array) -> Array:
    """`image` (3, S, S) as a crop is blended, (S, S, 3)."""
    crop: Array = cv2.merge(tuple(image))
    return crop


def largest(picture: Array) -> Array:
    """The largest of the three channels (n, n, 3) at each pixel."""
    red, green, blue = planes(picture)
    return cv2.max(cv2.max(red, green), blue)  # type: ignore[return-value]


def mismatch(first: Array, second: Array) -> Array:
    """Measure by how much two pictures (n, n, 3) differ at each pixel: the largest difference of the three channels."""
    return largest(cv2.absdiff(first, second))  # type: ignore[arg-type]


def repeat_for_flow(values: Array) -> Array:
    """Repeat `values` (n, n) for x and y of a flow, (n, n, 2): NumPy multiplies by it faster than by broadcasting."""
    return cv2.merge((values, values))  # type: ignore[return-value]


def blur(picture: Array, sigma: float) -> Array:
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)  # type: ignore[return-value]
