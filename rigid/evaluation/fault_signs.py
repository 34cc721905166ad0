"""Signs of what may be wrong with an edited face, measured in its pictures: seams, double edges, half edits, flicker.

With I the real, O the inverted, E the edited and y the delivered aligned face, float32 (S, S, 3) RGB in [-1, 1]. What
each sign is, and how often it agrees with the eye, is said in docs/evaluation.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import cv2
import numpy as np

from rigid.arrays import Array, Region
from rigid.evaluation.face_regions import outer_band
from rigid.evaluation.metrics import mean

LEAST_CHANGE = 0.04
"""The difference of y from I, smoothed, where a change is shown, in [-1, 1] values."""
BAND = 10 / 256
"""How far on both sides of the border of what is changed a seam is looked for, crop sides."""
SEAM_NEAR, DOUBLE_NEAR = 7, 3
"""Pixels of 256 across which an edge of y is looked for in I and in E."""
STRONGEST = 0.02
"""The share of pixels, the strongest, that an edge's sign is the mean of."""
DRAWN = 0.15
"""The difference of E from O in a region, mean absolute value, for the edit to be asked for there."""
PIXEL_NOISE = 9.0
"""What is added to warp errors (squared levels of 255), so that the noise of a still picture counts for nothing."""


@dataclass(frozen=True)
class Thresholds:
    """The value from which each sign tells of a fault; fitted to cells judged by eye (docs/evaluation.md)."""

    seam: float = 0.03
    double_edges: float = 0.017
    half_edit: float = 0.75
    """The share below which; the others: above which."""
    flicker: float = 1.5


THRESHOLDS = Thresholds()
FAULTS = ("seam", "double edges", "half edit", "flicker")


@dataclass(frozen=True)
class Faces:
    """One frame's aligned faces: I, O, E and y."""

    real: Array
    inverted: Array
    edited: Array
    delivered: Array


@dataclass(frozen=True)
class Signs:
    """What a few frames of one clip with one edit show; NaN for what cannot be told."""

    seam: float
    double_edges: float
    shares: dict[str, float] = field(default_factory=dict)
    """How much of what E draws y shows, by region, of those the edit is for and draws in."""
    flickers: dict[str, float] = field(default_factory=dict)
    """The warp error of y over that of I, by region."""

    @property
    def half_edit(self) -> float:
        """The least of the shares."""
        return min(self.shares.values(), default=math.nan)

    @property
    def flicker(self) -> float:
        """The greatest of the flickers."""
        return max(self.flickers.values(), default=math.nan)

    def faults(self) -> list[str]:
        """Which of `FAULTS` the signs tell of."""
        found = (
            self.seam > THRESHOLDS.seam,
            self.double_edges > THRESHOLDS.double_edges,
            self.half_edit < THRESHOLDS.half_edit,
            self.flicker > THRESHOLDS.flicker,
        )
        return [fault for fault, is_there in zip(FAULTS, found, strict=True) if is_there]


def join(signs: Sequence[Signs]) -> Signs:
    """The signs of several frames as one: means, each over the frames that tell it."""
    return Signs(
        mean(one.seam for one in signs),
        mean(one.double_edges for one in signs),
        _means([one.shares for one in signs]),
        _means([one.flickers for one in signs]),
    )


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in found for name in one)
    values = {name: [one[name] for one in found if name in one and math.isfinite(one[name])] for name in names}
    return {name: fmean(numbers) for name, numbers in values.items() if numbers}


def seam(faces: Faces) -> float:
    """How strong the edges of y are, in [-1, 1] values a pixel, that neither I nor E has, where the change ends."""
    known = np.maximum(_nearby(_edges(faces.real), SEAM_NEAR), _nearby(_edges(faces.edited), SEAM_NEAR))
    size = len(faces.real)
    band = outer_band(find_changed(faces), round(BAND * size)) & _inside(size)
    return _strongest(np.maximum(_edges(faces.delivered) - known, 0), band)


def double_edges(faces: Faces) -> float:
    """How strongly y shows edges that only I has right beside edges that only E has."""
    real, edited, shown = (_edges(face) for face in (faces.real, faces.edited, faces.delivered))
    of_real = np.minimum(np.maximum(shown - _nearby(edited, DOUBLE_NEAR), 0), real)
    of_edited = np.minimum(np.maximum(shown - _nearby(real, DOUBLE_NEAR), 0), edited)
    return _strongest(np.sqrt(_around(of_real) * _around(of_edited)), find_changed(faces))


def shares(faces: Faces, regions: Mapping[str, Region]) -> dict[str, float]:
    """Measure how much of the change from O to E there is from I to y, in each of the `regions` where E draws any.

    The factor of least squares: 1 for all of it, 0 for none.
    """
    drawn = _soft(faces.edited - faces.inverted)
    shown = _soft(faces.delivered - faces.real)
    found: dict[str, float] = {}
    for name, region in regions.items():
        wanted = drawn[region]
        if wanted.size and float(np.abs(wanted).mean()) >= DRAWN:
            found[name] = float((wanted * shown[region]).sum() / np.square(wanted).sum())
    return found


def flickers(error: float, source: float) -> float:
    """The warp error of y over that of I, squared levels of 255, both above the noise of a still picture."""
    return (error + PIXEL_NOISE) / (source + PIXEL_NOISE)


def find_changed(faces: Faces) -> Region:
    """Find where y shows a change, (S, S)."""
    difference = np.abs(faces.delivered - faces.real).max(2)
    where: Region = cv2.GaussianBlur(difference, (0, 0), 2.0 / 256 * len(difference)) > LEAST_CHANGE
    return where


def _soft(picture: Array) -> Array:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.0 / 256 * len(picture)), np.float32)


def _edges(face: Array) -> Array:
    """The length of the gradient, the greatest of RGB, a pixel of 256."""
    scale = len(face) / 256
    soft = cv2.GaussianBlur(face, (0, 0), 1.2 * scale)
    across, down = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=1 / 8)
    lengths: Array = np.sqrt(np.square(across) + np.square(down)).max(2) * np.float32(scale)
    return lengths


def _nearby(edges: Array, pixels: int) -> Array:
    """The greatest of `edges` across so many `pixels` of 256."""
    side = max(3, round(pixels * len(edges) / 256) | 1)
    return np.asarray(cv2.dilate(edges, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.float32)


def _around(edges: Array) -> Array:
    return np.asarray(cv2.GaussianBlur(edges, (0, 0), 3.0 / 256 * len(edges)), np.float32)


def _inside(size: int) -> Region:
    """All but the rim of a crop, where what is resampled ends."""
    inside = np.zeros((size, size), bool)
    rim = max(1, size // 64)
    inside[rim:-rim, rim:-rim] = True
    return inside


def _strongest(values: Array, region: Region) -> float:
    """The mean of the greatest `STRONGEST` of `values` in `region`; 0 where there is nothing."""
    found = values[region]
    count = max(1, round(STRONGEST * found.size))
    return float(np.partition(found, found.size - count)[-count:].mean()) if found.size else 0.0
