"""The parts of an aligned face by its landmarks: where a fault or a change is looked for."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Region
from rigid.face.landmarks import CHIN, FACE_OVAL, FOREHEAD_TOP, LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE
from rigid.face.masks import eyes_mask, forehead_mask, lips_mask, oval_mask, polygon_mask
from rigid.geometry import Points

Zoom = tuple[tuple[float, float], float, float]
"""Middle in crop pixels, and width and height."""
FACE_REGIONS = ("mouth", "eyes", "forehead", "cheeks", "jaw")
LIPS_GROWN = 0.3
"""The share of its width by which the mouth is larger than its lips."""
HAIR_GROWN = 1.55
"""How much larger than the face oval what may be hair is."""


def face_regions(landmarks: Points, size: int) -> dict[str, Region]:
    """Each of `FACE_REGIONS` and the hair as (size, size); none overlap. `landmarks` (478, 2) in crop pixels."""
    points = np.asarray(landmarks, np.float64)
    face = oval_mask(points, size) > 0.5
    mouth = lips_mask(points, size, LIPS_GROWN) > 0.5
    eyes = (eyes_mask(points, size) > 0.5) & ~mouth
    forehead = (forehead_mask(points, size) > 0.5) & ~eyes
    rest = face & ~mouth & ~eyes & ~forehead
    below = _below_nose(points, size)
    around = (polygon_mask(_grow(points[FACE_OVAL], HAIR_GROWN), size) > 0.5) & ~face & ~forehead & ~below
    return {
        "mouth": mouth,
        "eyes": eyes,
        "forehead": forehead,
        "cheeks": rest & ~below,
        "jaw": rest & below,
        "hair": around,
    }


def zooms(landmarks: Points) -> dict[str, Zoom]:
    """What is looked at closely: the mouth, the eyes, the hair line, each four wide to three high."""
    points = np.asarray(landmarks, np.float64)
    mouth = points[MOUTH_CORNERS].mean(0)
    eyes = (points[LEFT_EYE].mean(0) + points[RIGHT_EYE].mean(0)) / 2
    width = float(np.ptp(points[FACE_OVAL][:, 0]))
    top = points[FOREHEAD_TOP]
    return {name: ((float(x), float(y)), width, 0.75 * width) for name, (x, y) in _name_regions(mouth, eyes, top)}


def _name_regions(mouth: Points, eyes: Points, top: Points) -> list[tuple[str, Points]]:
    return [("mouth", mouth), ("eyes", eyes), ("hair line", top)]


def _grow(outline: Points, share: float) -> NDArray[np.float64]:
    middle = outline.mean(0)
    grown: NDArray[np.float64] = middle + share * (outline - middle)
    return grown


def _below_nose(points: NDArray[np.float64], size: int) -> Region:
    """Nearer to the chin than the middle between the eyes and the mouth's corners is, (size, size)."""
    eyes = (points[LEFT_EYE].mean(0) + points[RIGHT_EYE].mean(0)) / 2
    middle = (eyes + points[MOUTH_CORNERS].mean(0)) / 2
    down = points[CHIN] - eyes
    rows, columns = np.indices((size, size)) + 0.5
    below: Region = (columns - middle[0]) * down[0] + (rows - middle[1]) * down[1] > 0
    return below


def outer_band(region: Region, width: int) -> Region:
    """Within `width` pixels of the border of `region`, on both sides of it."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    bytes_ = region.astype(np.uint8)
    band: Region = cv2.dilate(bytes_, kernel).astype(bool) & ~cv2.erode(bytes_, kernel).astype(bool)
    return band
