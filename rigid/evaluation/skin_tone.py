"""Skin tones by the ten published values of the Monk Skin Tone Scale (Monk, 2019; CC BY 4.0)."""

from __future__ import annotations

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.discovery.regions import CHEEKS, PLAIN_SKIN, lab_of, mean_colour

MONK_TONES = (
    *("#f6ede4", "#f3e7db", "#f7ead0", "#eadaba", "#d7bd96"),
    *("#a07e56", "#825c43", "#604134", "#3a312a", "#292420"),
)
"""sRGB, from the lightest to the darkest."""
TONE_GROUPS = ("1-4", "5", "6", "7-10")
"""Cheeks and foreheads in photographs mostly come nearest to the middle ones, so those stand alone."""
_LAST = (4, 5, 6, 10)


def monk_tone(image: Pixels, landmarks: Array) -> int:
    """The Monk tone, 1 to 10, nearest in CIE Lab to the mean colour of both cheeks and the forehead.

    `image` RGB (H, W, 3), `landmarks` (478, 2) in its pixels; 0 where none of that lies in the picture.
    """
    parts = (landmarks[list(part)] for part in (*CHEEKS, PLAIN_SKIN[0]))
    colour = mean_colour(lab_of(image), *parts)
    return nearest_tone(colour) if np.isfinite(colour).all() else 0


def nearest_tone(colour: Array) -> int:
    """The Monk tone, 1 to 10, nearest to a Lab `colour` (3,)."""
    return int(np.linalg.norm(_TONES - colour, axis=1).argmin()) + 1


def tone_group(tone: int) -> str:
    """Which of `TONE_GROUPS` a Monk tone, 1 to 10, belongs to."""
    assert 1 <= tone <= 10, tone
    return next(group for group, last in zip(TONE_GROUPS, _LAST, strict=True) if tone <= last)


_TONES = lab_of(np.array([[tuple(bytes.fromhex(tone[1:])) for tone in MONK_TONES]], np.uint8))[0]
