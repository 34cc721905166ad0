"""Writes into an edited picture that it is one, so that it says so wherever it goes."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.stream.face_stream import StepResult

WORDS = "Edited with AI"
FONT = cv2.FONT_HERSHEY_SIMPLEX
LEAST_LINES = 14
"""Lower words cannot be read."""
PLATE_SHARE = 1 / 20
"""The plate's height, as a share of the picture's shorter side."""
DARKENED = 0.6
"""How much of the picture below the words' plate is darkened away."""

Rectangle = tuple[int, int, int, int]
"""left, top, width, height, pixels"""


class Badge:
    """One session's badge; stamped on the inference thread, switched from anywhere."""

    def __init__(self, on: bool) -> None:
        self.on = on
        self.place: Rectangle | None = None
        """Where the newest picture has it; None where it has none."""

    def stamp(self, picture: Pixels) -> Pixels:
        """A copy of `picture`, RGB uint8 (H, W, 3), with the badge at its lower left.

        Itself where the badge is off, or the picture too small for it to be read.
        """
        plate = _plate(min(picture.shape[:2])) if self.on else None
        if plate is None or plate.shape[1] * 1.1 > picture.shape[1]:
            self.place = None
            return picture
        height, width = plate.shape[:2]
        left, top = height // 2, picture.shape[0] - height - height // 2
        self.place = (left, top, width, height)
        stamped = picture.copy()
        below = stamped[top : top + height, left : left + width]
        words, opacity = plate[..., :1], plate[..., 1:]
        below[:] = np.rint(below * (1 - opacity) + words * opacity)
        return stamped

    def stamp_edited(self, result: StepResult) -> Pixels:
        """The frame of `result`, with the badge where an edit shows in it."""
        return self.stamp(result.frame) if result.edited else result.frame


@lru_cache(maxsize=32)
def _plate(shorter: int) -> Array | None:
    """Grey value and opacity of the badge for a picture whose shorter side has so many lines: (h, w, 2)."""
    height = max(LEAST_LINES, round(shorter * PLATE_SHARE))
    if height * 4 > shorter:
        return None
    scale = height / 40
    thickness = max(1, round(height / 18))
    (length, rise), _ = cv2.getTextSize(WORDS, FONT, scale, thickness)
    words = np.zeros((height, length + height), np.uint8)
    cv2.putText(
        words, WORDS, (height // 2, round(0.47 * height + 0.5 * rise)), FONT, scale, 255, thickness, cv2.LINE_AA
    )
    share = words.astype(np.float32) / 255
    return np.stack([255 * share, np.maximum(share, DARKENED)], axis=-1)
