"""Sizes and proportions of a face from its landmarks (478, 2), in any unit of length."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.face.landmarks import CHEEKBONES, INNER_LIPS, LEFT_EYE, OUTER_EYE_CORNERS, RIGHT_EYE

UPPER_LIP, LOWER_LIP = (0, 13), (14, 17)
JAW_CORNERS = (172, 397)
NOSE_WINGS = (129, 358)
NOSE_LENGTH = (6, 2)
LIDS_AND_CORNERS = (((159, 145), (33, 133)), ((386, 374), (362, 263)))


def distance(landmarks: Array, pair: tuple[int, int] | NDArray[np.int_]) -> float:
    """Between two landmarks."""
    return float(np.linalg.norm(landmarks[pair[1]] - landmarks[pair[0]]))


def _eyes_apart(landmarks: Array) -> float:
    return max(distance(landmarks, OUTER_EYE_CORNERS), 1e-6)


def lips_gap(landmarks: Array) -> float:
    """Distance between the inner lips over that between the outer eye corners."""
    return distance(landmarks, INNER_LIPS) / _eyes_apart(landmarks)


def face_width(landmarks: Array) -> float:
    """Mean width of cheeks and jaw over the distance between the outer eye corners."""
    width = (distance(landmarks, CHEEKBONES) + distance(landmarks, JAW_CORNERS)) / 2
    return width / _eyes_apart(landmarks)


def jaw_width(landmarks: Array) -> float:
    """Width of the jaw over that of the cheeks."""
    return distance(landmarks, JAW_CORNERS) / max(distance(landmarks, CHEEKBONES), 1e-6)


def nose_size(landmarks: Array) -> float:
    """√(width · length) of the nose over the distance between the outer eye corners."""
    return math.sqrt(distance(landmarks, NOSE_WINGS) * distance(landmarks, NOSE_LENGTH)) / _eyes_apart(landmarks)


def lip_size(landmarks: Array) -> float:
    """Thickness of both lips over the distance between the outer eye corners."""
    return (distance(landmarks, UPPER_LIP) + distance(landmarks, LOWER_LIP)) / _eyes_apart(landmarks)


def eye_opening(landmarks: Array) -> float:
    """Mean height of the eyes over their width."""
    ratios = [distance(landmarks, lids) / max(distance(landmarks, ends), 1e-6) for lids, ends in LIDS_AND_CORNERS]
    return float(np.mean(ratios))


def eye_size(landmarks: Array) -> float:
    """√(mean area of the eyes) over the width of the face."""
    area = (_area(landmarks[LEFT_EYE]) + _area(landmarks[RIGHT_EYE])) / 2
    return math.sqrt(area) / max(distance(landmarks, CHEEKBONES), 1e-6)


def _area(outline: Array) -> float:
    """The area of a polygon (N, 2), by the shoelace formula."""
    x, y = outline[:, 0], outline[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
