"""Colours of parts of a face, on regions that landmarks define. Colours are CIE Lab: L 0 to 100, a and b about 0."""

from __future__ import annotations

import math

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.face.landmarks import CHEEKBONES, CHIN, FOREHEAD_TOP, OUTER_EYE_CORNERS, OUTER_LIPS
from rigid.geometry import square

# fmt: off
INNER_LIPS_RIM = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
CHEEKS = ((50, 101, 36, 205), (280, 330, 266, 425))
"""The apples of both cheeks."""
PLAIN_SKIN = ((109, 10, 338, 336, 9, 107), (201, 200, 421, 396, 175, 171))
"""Forehead and chin, which do not redden."""
LIDS = ((246, 161, 160, 159, 158, 157, 173), (466, 388, 387, 386, 385, 384, 398))
LOWER_BROWS = ((46, 53, 52, 52, 65, 65, 55), (276, 283, 282, 282, 295, 295, 285))
# fmt: on
HAIR_ABOVE, HAIR_ASIDE = (0.1, 0.24), 0.28
"""The patch of hair: how far above the forehead it lies, in heights of the face, and how far it goes to either side, in
widths."""


def lab_of(image: Pixels) -> Array:
    """RGB bytes (H, W, 3) → Lab float32 (H, W, 3)."""
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    return np.asarray((stored - (0, 128, 128)) * (100 / 255, 1, 1), np.float32)


def bytes_of(lab: Array) -> Pixels:
    """Lab (H, W, 3) → RGB bytes, the nearest that there are."""
    stored = np.rint(np.clip(lab * (255 / 100, 1, 1) + (0, 128, 128), 0, 255)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(stored, cv2.COLOR_LAB2RGB), np.uint8)


def mean_colour(lab: Array, *outlines: Array, without: Array | None = None) -> Array:
    """Mean Lab colour (3,) inside any of the polygons `outlines` (N, 2), outside the polygon `without`."""
    mask = np.zeros(lab.shape[:2], np.uint8)
    # one at a time, as overlapping polygons filled together leave holes
    for outline in outlines:
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    if without is not None:
        cv2.fillPoly(mask, [np.rint(without).astype(np.int32)], 0)
    if not mask.any():
        return np.full(3, np.nan, np.float32)
    return np.asarray(cv2.mean(lab, mask)[:3], np.float32)


def skin_colour(lab: Array, landmarks: Array) -> Array:
    """Mean colour of both cheeks, (3,)."""
    return mean_colour(lab, *(landmarks[list(cheek)] for cheek in CHEEKS))


def typology_angle(colour: Array) -> float:
    """The individual typology angle of a skin colour in degrees (Chardon et al., 1991): above 55 very light,
    28 to 41 intermediate, 10 to 28 tan, below -30 dark."""
    return math.degrees(math.atan2(float(colour[0]) - 50, max(float(colour[2]), 1e-3)))


def rosiness(lab: Array, landmarks: Array) -> float:
    """How much redder (a) the cheeks are than forehead and chin."""
    plain = mean_colour(lab, *(landmarks[list(part)] for part in PLAIN_SKIN))
    return float(skin_colour(lab, landmarks)[1] - plain[1])


def lip_colour(lab: Array, landmarks: Array) -> float:
    """How much redder (a) the lips are than the cheeks."""
    lips = mean_colour(lab, landmarks[OUTER_LIPS], without=landmarks[list(INNER_LIPS_RIM)])
    return float(lips[1] - skin_colour(lab, landmarks)[1])


def eye_shadow(lab: Array, landmarks: Array) -> float:
    """How much darker (L) the upper lids are than the cheeks."""
    outlines = []
    for lid, brow in zip(LIDS, LOWER_BROWS, strict=True):
        edge, far = landmarks[list(lid)], landmarks[list(brow)]
        outlines.append(np.concatenate([edge, (edge + 0.5 * (far - edge))[::-1]]))
    return float(skin_colour(lab, landmarks)[0] - mean_colour(lab, *outlines)[0])


def hair_colour(lab: Array, landmarks: Array) -> Array:
    """Mean colour of a patch above the forehead, (3,), which is hair unless the head is bald or covered."""
    up = landmarks[FOREHEAD_TOP] - landmarks[CHIN]
    aside = HAIR_ASIDE * (landmarks[CHEEKBONES[1]] - landmarks[CHEEKBONES[0]])
    low, high = (landmarks[FOREHEAD_TOP] + share * up for share in HAIR_ABOVE)
    outline = np.stack([low - aside, low + aside, high + aside, high - aside])
    # of a head that is cut off, what is there of it
    return mean_colour(lab, outline.clip(0, np.array(lab.shape[1::-1]) - 1))


def face_light(image: Pixels, landmarks: Array) -> float:
    """Mean luma, 0 to 1, of the square between the outer eye corners and below."""
    corners = landmarks[list(OUTER_EYE_CORNERS)]
    width = float(np.linalg.norm(corners[1] - corners[0]))
    centre = corners.mean(0) + np.array([0.0, 0.3 * width])
    patch = square(image, (centre[0], centre[1]), width, 32)
    return float(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).mean() / 255)
