"""Similarities between pictures and anti-aliased resampling.

Coordinates are continuous: the top left corner of a picture is (0, 0) and the centre of its first pixel
(0.5, 0.5), so that scaling a picture scales its coordinates. A transform is a float64 (2, 3) matrix that
takes column vectors (x, y, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels

Points = NDArray[np.floating[Any]]
Transform = NDArray[np.float64]
Picture = TypeVar("Picture", Pixels, Array)

HALF = np.array([0.5, 0.5])
ALIASING_SCALE = 0.9
"""Pictures shrunk by more than this lose what is too fine for the output before they are interpolated."""
SOFTENING = 0.35
"""Width of the Gaussian that takes it away, as a part of √(1/scale² - 1), which is what a pixel of the output covers.
Of 0.2 to 0.4 it came closest to averages of 64 samples a pixel: 51 to 58 dB at scales from 0.4 to 0.6, on three frames;
averaging to the output's size and interpolating then has 40 to 51, in three times the time."""
LEAST_SCALE = 0.4
"""What shrinks more is averaged in whole blocks of pixels first: wide Gaussians are slow."""


def apply(transform: Transform, points: Points) -> NDArray[np.float64]:
    """`points` (..., 2) moved by `transform`, float64 of the same shape."""
    moved: NDArray[np.float64] = points @ transform[:, :2].T + transform[:, 2]
    return moved


def inverse(transform: Transform) -> Transform:
    """The transform that undoes `transform`."""
    # for two rows NumPy takes ten times as long
    (a, b, x), (c, d, y) = transform.tolist()
    det = a * d - b * c
    a, b, c, d = d / det, -b / det, -c / det, a / det
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y]])


def scale_of(transform: Transform) -> float:
    """How many target pixels a source pixel's side becomes."""
    (a, b, _), (c, d, _) = transform.tolist()
    return math.sqrt(abs(a * d - b * c))


def similarity(centre: Points, side: float, angle: float, size: tuple[int, int]) -> Transform:
    """The transform that puts a rotated square window upright into a picture of `size` (width, height).

    `centre` (2,) and `side` of the window in source pixels; `angle`: direction of the window's x axis, radians.
    """
    scale = max(size) / side
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack((linear, np.array(size) / 2 - linear @ np.asarray(centre, np.float64)))


def rotate(vectors: Points, angle: float) -> NDArray[np.float64]:
    """`vectors` (..., 2) turned by `angle` radians from x towards y."""
    cos, sin = math.cos(angle), math.sin(angle)
    turned: NDArray[np.float64] = vectors @ np.array([[cos, sin], [-sin, cos]])
    return turned


def corners(width: float, height: float) -> NDArray[np.float64]:
    """The four corners of a picture, float64 (4, 2), clockwise from the top left."""
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def resample(
    picture: Picture, transform: Transform, size: tuple[int, int], border: int = cv2.BORDER_REFLECT
) -> Picture:
    """`picture` (H, W[, C ≤ 4]) seen through `transform` (picture → output) as (height, width[, C]).

    `size` is (width, height). What is shrunk is softened first (`cv2.warpAffine` alone would alias).
    `border` is the OpenCV rule for what lies outside the picture; a constant border is zero.
    """
    picture, transform = soften(picture, transform, size)
    return interpolate(picture, transform, size, border)


def soften(picture: Picture, transform: Transform, size: tuple[int, int]) -> tuple[Picture, Transform]:
    """What `resample` interpolates, and through which transform: a part of `picture`, without what is too fine."""
    scale = scale_of(transform)
    if scale < LEAST_SCALE:
        picture, transform = _in_blocks(picture, transform, size, math.floor(2 * LEAST_SCALE / scale))
        scale = scale_of(transform)
    return _blur(picture, transform, size, scale) if scale < ALIASING_SCALE else (picture, transform)


def square(picture: Picture, centre: tuple[float, float], side: float, size: int) -> Picture:
    """The upright square of `side` pixels round `centre`, resampled to `size`."""
    transform = similarity(np.array(centre), max(float(side), 1.0), 0.0, (size, size))
    return resample(picture, transform, (size, size))


def glance(picture: Picture, transform: Transform, size: tuple[int, int]) -> Picture:
    """Resample as `resample` does, black outside the picture, and quicker: good enough to look at, not to show.

    What is shrunk to a half or less is averaged in whole blocks of pixels, the rest interpolated.
    """
    block = math.floor(1 / scale_of(transform))
    if block > 1:
        picture, transform = _in_blocks(picture, transform, size, block)
    return interpolate(picture, transform, size, cv2.BORDER_CONSTANT)


def interpolate(picture: Picture, transform: Transform, size: tuple[int, int], border: int) -> Picture:
    """Resample as `resample` does what is not to be shrunk, or softened already."""
    pixel_centres = transform.copy()
    pixel_centres[:, 2] += transform[:, :2] @ HALF - HALF
    return in_fours(picture, lambda given: cv2.warpAffine(given, pixel_centres, size, None, cv2.INTER_LINEAR, border))


def in_fours(picture: Picture, interpolate: Callable[[Picture], Any]) -> Picture:
    """What OpenCV's `interpolate` makes of `picture`; it takes half as long over four channels as over three."""
    if picture.ndim < 3 or picture.shape[2] != 3:
        return interpolate(picture)  # type: ignore[no-any-return]
    return cv2.cvtColor(interpolate(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)), cv2.COLOR_RGBA2RGB)  # type: ignore[arg-type, return-value]


def _in_blocks(picture: Picture, transform: Transform, size: tuple[int, int], block: int) -> tuple[Picture, Transform]:
    """The means of the blocks of `block`² pixels that `transform` shows, and the transform for them."""
    (left, right), (top, bottom) = _window(picture, transform, size, 2.0 * block)
    columns, rows = (right - left) // block, (bottom - top) // block
    if min(columns, rows) < 1:
        return picture, transform
    window = picture[top : top + rows * block, left : left + columns * block]
    means = cv2.resize(window, (columns, rows), interpolation=cv2.INTER_AREA)
    return means, np.column_stack((transform[:, :2] * block, apply(transform, np.array([left, top]))))  # type: ignore[return-value]


def _blur(picture: Picture, transform: Transform, size: tuple[int, int], scale: float) -> tuple[Picture, Transform]:
    """What `transform` shows of `picture`, without what is too fine for the output, and the transform for it."""
    sigma = SOFTENING * math.sqrt(1 / scale**2 - 1)
    (left, right), (top, bottom) = _window(picture, transform, size, 4 * sigma + 2)
    # further out a kernel has no 1/512 of its weight
    side = 2 * math.ceil(2.5 * sigma) + 1
    soft = cv2.GaussianBlur(picture[top:bottom, left:right], (side, side), sigma, borderType=cv2.BORDER_REFLECT)
    return soft, np.column_stack((transform[:, :2], apply(transform, np.array([left, top]))))  # type: ignore[return-value]


def _window(
    picture: Picture, transform: Transform, size: tuple[int, int], margin: float
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The columns and the rows of `picture`, from and to, that `transform` shows, and `margin` pixels round them."""
    seen = apply(inverse(transform), corners(*size))
    height, width = picture.shape[:2]
    return _find_needed(seen[:, 0], width, margin), _find_needed(seen[:, 1], height, margin)


def _find_needed(seen: NDArray[np.float64], length: int, margin: float) -> tuple[int, int]:
    """The range of an axis that is looked at, with what a reflection at either end would show."""
    first, last = float(seen.min()) - margin, float(seen.max()) + margin
    low = max(0.0, min(first, 2 * length - last)) if last > length else max(0.0, first)
    high = min(float(length), max(last, -first)) if first < 0 else min(float(length), last)
    start = min(max(0, math.floor(low)), length - 1)
    return start, max(start + 1, min(length, math.ceil(high)))
