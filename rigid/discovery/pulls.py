"""How muscles move a face's landmarks, where what generated faces do is not what someone who asks for it wants.

Places are the mean landmarks (478, 2) of generated faces, in crop sides. Each function gives their motion at strength 1
and at -1, (2, 478, 2), before the field that real pixels are moved by smooths it to about two thirds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.discovery.observe import BROW_POINTS
from rigid.discovery.regions import INNER_LIPS_RIM, LOWER_BROWS
from rigid.face.landmarks import LEFT_EYE, MOUTH_CORNERS, OUTER_LIPS, RIGHT_EYE
from rigid.geometry import Points

Feature = Sequence[int] | NDArray[np.int_]

FADE_WIDTH = 0.025
"""Crop sides over which motion fades away from a feature."""
CLOSE = 0.02
"""The same where another feature is near: eyelids below brows, the chin below lips."""
GROWTH = 0.25
"""Share by which eyes grow."""
LOWERED, DRAWN_IN, OUTER_SHARE = 0.055, 0.03, 0.25
"""How far the inner ends of frowning brows go down and towards each other, crop sides, and how much of the former
their outer ends do."""
CORNERS_FALL, MIDDLE_RISES = 0.022, 0.006
"""How far the corners of a sad mouth go down beside its middle, and how far all of it goes up, crop sides."""


def near(places: Points, feature: Feature, fade: float = FADE_WIDTH) -> Array:
    """How near each of `places` is to those of `feature`, (478, 1), 1 to 0."""
    apart = np.linalg.norm(places[:, None] - places[list(feature)], axis=-1).min(1, keepdims=True)
    weight: Array = np.exp(-np.square(apart / fade) / 2).astype(np.float32)
    return weight


def grow_eyes(places: Points) -> Array:
    """Both eyes larger, and smaller by half of that; generated faces get larger eyes by getting narrower."""
    grown = np.zeros_like(places)
    for eye in (LEFT_EYE, RIGHT_EYE):
        grown += GROWTH * near(places, eye) * (places - places[eye].mean(0))
    return np.stack((grown, -grown / 2)).astype(np.float32)


def draw_brows_together(places: Points) -> Array:
    """Brows lowered at their inner ends and drawn together (action unit 4); those of generated faces only sink."""
    feature = [*BROW_POINTS, *(point for brow in LOWER_BROWS for point in brow)]
    from_middle = places[:, 0] - places[feature, 0].mean()
    apart = np.abs(from_middle[feature])
    inner = np.clip((apart.max() - np.abs(from_middle)) / max(float(np.ptp(apart)), 1e-6), 0, 1)
    # across the nose's root from one side to the other, with no step between
    inwards = -np.clip(from_middle / max(float(apart.min()), 1e-6), -1, 1) * inner
    pull = np.stack((DRAWN_IN * inwards, LOWERED * (OUTER_SHARE + (1 - OUTER_SHARE) * inner)), 1)
    return _one_way(near(places, feature, CLOSE) * pull)


def lower_mouth_corners(places: Points) -> Array:
    """The corners of the mouth pulled down, at -1 (action unit 15); faces without a smile have none to lose."""
    left, right = places[MOUTH_CORNERS]
    outwards = np.abs(places[:, 0] - (left[0] + right[0]) / 2) / max(abs(right[0] - left[0]) / 2, 1e-6)
    fall = CORNERS_FALL * np.square(outwards.clip(0, 1)) - MIDDLE_RISES
    pull = np.stack((np.zeros_like(fall), fall), 1)
    return _one_way(near(places, [*OUTER_LIPS, *INNER_LIPS_RIM], CLOSE) * pull)[::-1].copy()


def _one_way(motion: Points) -> Array:
    """`motion` at strength 1, and none at -1."""
    return np.stack((motion, np.zeros_like(motion))).astype(np.float32)


PULLS: dict[str, Callable[[Points], Array]] = {
    "eyes": grow_eyes,
    "brows": draw_brows_together,
    "corners": lower_mouth_corners,
}
"""By what `Recipe.moves` calls them."""
