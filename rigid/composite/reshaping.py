"""Edits of a face's shape, made by moving the real pixels as the edit moves generated features on average.

The noise map pins what is generated to where the real features are, and masks keep what lies round the face, so that
in a stream the generator alone hardly widens a face or lowers a brow. An attribute may therefore bring the mean motion
of the landmarks, as generated faces without a noise map show it; the composite is warped by it, and what lies round it.

Scattered motion becomes a field from coarse to fine, each scale taking what the ones before left over, as in multilevel
B-splines (Lee, Wolberg and Shin, 1997), with Gaussian kernels.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from rigid.arrays import Array
from rigid.fields import smooth
from rigid.geometry import Points

PLACES = 64
"""Places a side at which the field is worked out; between them it is interpolated."""
SIGMAS = (0.08, 0.035, 0.016)
"""Standard deviations of a landmark's influence, crop sides, coarse to fine."""
STANDING_WEIGHTS = (0.02, 0.02, 0.15)
"""Weight of standing still beside the landmarks', at each scale: where none is near, nothing moves. At the finest it
outweighs the lone ones of the face's outline, which would be dented between them."""
STEEPEST = 0.7
"""Most that the field may fall from one pixel to the next along its own axis; at 1 it would show pixels twice."""
BORDER = 0.12
"""Crop sides along the border over which the field falls to nothing."""


def motion_field(landmarks: Points, motion: Points, size: int) -> Array:
    """f with which W(P, f) has moved what P shows at `landmarks` by `motion`, (size, size, 2) in pixels.

    `landmarks`, `motion`: (N, 2) in pixels of a crop of `size`. The field fades away from the landmarks and towards the
    crop's border, and is smaller as a whole where it would fold.
    """
    scale = np.float32(PLACES / size)
    at = (np.asarray(landmarks, np.float32) + np.asarray(motion, np.float32)) * scale
    wanted = -scale * np.asarray(motion, np.float32)
    field = np.zeros((PLACES, PLACES, 2), np.float32)
    for sigma, still in zip(SIGMAS, STANDING_WEIGHTS, strict=True):
        field += _smooth(at, wanted - _sample(field, at), sigma * PLACES, still)
    field *= _inside()[..., None]
    steepest = max(float(-np.diff(field[..., axis], axis=1 - axis).min()) for axis in (0, 1))
    field *= np.float32(min(1.0, STEEPEST / max(steepest, 1e-6))) / scale
    return cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def _smooth(at: Points, values: Points, sigma: float, still: float) -> Array:
    """The mean of `values` (N, 2) at `at` (N, 2), weighted by distance (Nadaraya-Watson), (PLACES, PLACES, 2)."""
    corner = np.floor(at - np.float32(0.5)).astype(np.intp)
    part = at - np.float32(0.5) - corner
    weighted = np.column_stack((np.ones(len(at), np.float32), values))
    # one place more than there are, for what lies outside
    sums = np.zeros((PLACES + 1, PLACES + 1, 3), np.float32)
    for step in np.array([(0, 0), (1, 0), (0, 1), (1, 1)]):
        columns, rows = (np.where((place >= 0) & (place < PLACES), place, PLACES) for place in (corner + step).T)
        share = np.abs(1 - step - part).prod(1, keepdims=True, dtype=np.float32)
        np.add.at(sums, (rows, columns), share * weighted)
    spread_out = cv2.GaussianBlur(sums[:PLACES, :PLACES], (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    total = np.asarray(spread_out, np.float32)
    mean: Array = total[..., 1:] / (total[..., :1] + np.float32(still))
    return mean


def _sample(field: Array, at: Points) -> Points:
    """`field` at the places `at` (N, 2), zero outside."""
    columns, rows = np.ascontiguousarray((at - np.float32(0.5)).T)
    sampled = cv2.remap(field, columns[None], rows[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    values: Points = np.asarray(sampled, np.float32)[0]
    return values


@cache
def _inside() -> Array:
    """One inside a crop, falling to zero along its border, (PLACES, PLACES)."""
    from_edge = np.minimum(np.arange(PLACES), np.arange(PLACES)[::-1]) / (BORDER * PLACES)
    inside = smooth(np.clip(from_edge, 0.0, 1.0)).astype(np.float32)
    return np.asarray(np.minimum(inside, inside[:, None]), np.float32)
