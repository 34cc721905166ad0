"""How an edit of the hair gets onto the real hair: how far it reaches, and its colour along the real outline.

Crops are float32 (S, S, 3) RGB in [-1, 1], masks float32 (S, S) in [0, 1]. Both parts work at (SMALL, SMALL).
"""

from __future__ import annotations

import cv2
import numpy as np

from rigid.blend import Crop, Mask, spread
from rigid.fields import blurred, largest, ramp, resized

SMALL = 64
"""Side of the pictures that are looked at."""
REACHED = (0.25, 0.5)
"""Change beyond the face, in shares of the largest in the hair, from which it is carried over, and fully so."""
LEAST_REACHED = (0.06, 0.12)
"""The same in [-1, 1] values, where these are more: what any edit stirs up."""
LARGEST = 95
"""Percentile of the change in the hair that counts as its largest."""
SIDE = 4
"""Width of the strips along the crop's sides that show the background, pixels at `SMALL`."""
LED_SIGMA = 2.0
"""Extent of what shares one line from the real hair's brightness to its change of colour, pixels at `SMALL`."""
LED_VARIANCE = 0.01
"""Variance of the brightness, [-1, 1] values, below which the change does not follow it."""


def reached(inverted: Crop, edited: Crop, hair: Mask) -> Mask:
    """How far the edit, at each place, is part of what it does to the `hair`, and more than any edit stirs up, (S, S).

    A slight shift of colour that the background has as well, as seen along the crop's sides, does not count.
    """
    change = resized(edited, SMALL) - resized(inverted, SMALL)
    sides = np.concatenate([change[:, :SIDE], change[:, -SIDE:]], 1).reshape(-1, 3)
    shift = np.median(sides, 0).clip(-LEAST_REACHED[1], LEAST_REACHED[1])
    change = blurred(largest(np.abs(change - shift)), 1.5)
    most = float(np.percentile(change * resized(hair, SMALL), LARGEST))
    start, end = (max(share * most, least) for share, least in zip(REACHED, LEAST_REACHED, strict=True))
    return resized(blurred(ramp(change, start, end), 1.0), len(edited))


def brightness(picture: Crop) -> Mask:
    """Of a crop (S, S, 3), (S, S) in [-1, 1]."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]


def led(change: Crop, guide: Mask) -> tuple[Crop, Crop]:
    """The smooth part of `change` (SMALL, SMALL, 3) as slope · `guide` + level, both of its shape.

    `guide` (S, S): the brightness of the real pixels.
    A guided filter (He, Sun and Tang, 2010): round each place the change is a line over the brightness, so that
    dark hair before a light wall changes up to its own outline.
    """
    small = resized(guide, len(change))
    mean, mean_change = blurred(small, LED_SIGMA), blurred(change, LED_SIGMA)
    together = blurred(change * spread(small), LED_SIGMA) - mean_change * spread(mean)
    variance = blurred(small * small, LED_SIGMA) - mean * mean
    slope = np.asarray(together / spread(variance + np.float32(LED_VARIANCE)), np.float32)
    level = np.asarray(mean_change - slope * spread(mean), np.float32)
    return blurred(slope, LED_SIGMA), blurred(level, LED_SIGMA)
