"""Labels drawn by hand: polygons over real stills and generated faces, to measure the parser by.

`parser_hand.json` holds, for each face, parts in the order in which they are drawn, each with its outline in two
hundredths of the picture's side. Skin is drawn whole; brows, eyes, nose, lips and mouth are drawn in it by landmarks.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.models.contract import CLASSES
from rigid.training.parser_labels import LABEL_SIZE, UNKNOWN, draw_features

HAND_DRAWN = Path(__file__).with_name("parser_hand.json")
OUTLINE_UNITS = 200
NARROWEST = 7
"""What lies between two parts and is narrower is nothing that was labelled."""


@cache
def hand_labelled() -> dict[str, list[list[object]]]:
    """The parts of each face, by its name."""
    faces: dict[str, list[list[object]]] = json.loads(HAND_DRAWN.read_text())
    return faces


def read_hand_labels(name: str, landmarks: Array) -> Pixels | None:
    """Labels (`LABEL_SIZE`, `LABEL_SIZE`) of the face `name`, None for one that was not labelled.

    `landmarks` (478, 2) in sides of the picture.
    """
    if name not in hand_labelled():
        return None
    labels = np.zeros((LABEL_SIZE, LABEL_SIZE), np.uint8)
    for part, outline in hand_labelled()[name]:
        corners = np.array(outline, np.float64).reshape(-1, 2) * LABEL_SIZE / OUTLINE_UNITS - 0.5
        number = UNKNOWN if part == "unknown" else CLASSES.index(str(part))
        cv2.fillPoly(labels, [np.rint(16 * corners).astype(np.int32)], number, cv2.LINE_8, 4)
    draw_features(labels, landmarks * LABEL_SIZE)
    # outlines do not meet to the pixel
    drawn = (labels > 0).astype(np.uint8)
    labels[
        (cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, np.ones((NARROWEST, NARROWEST), np.uint8)) > 0) & (labels == 0)
    ] = UNKNOWN
    return labels
