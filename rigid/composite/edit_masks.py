"""Where an edit may act in an aligned face: the face, the hair, and what lies before both.

By the face parser's map, and by the landmarks where there is no parser. Masks are float32 (S, S) in [0, 1]; a map is
float32 (C, n, n), the probabilities of `rigid.models.contract.CLASSES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from rigid.arrays import Array
from rigid.composite.fringe import Fringe, find_fringe
from rigid.composite.kept_features import SEEN, Features, find_features
from rigid.face.masks import border_window, feather, hair_mask, oval_mask
from rigid.fields import blur, ramp, resize
from rigid.geometry import Points
from rigid.models.contract import CLASSES

SMALL = 64
"""Side of the parser's map, and of the pictures that masks are made of."""
INNER_FACE = ("skin", "brows", "eyes", "nose", "lips", "mouth", "glasses")
"""The parts of M in Eq. 6."""
INSIDE = (0.4, 0.9)
"""Blurred share of these from which a place begins to belong to the mask, and belongs to it."""
INSIDE_SIGMA = 1.0
"""How soft the mask's edge is, pixels at `SMALL`; it lies inside, so that hair and background keep out."""
COVERING = (0.2, 0.6)
"""Probability of `other` from which a place begins to be kept, and is kept, as it is."""
COVERING_SIGMA = 0.7
HEAD, HEAD_SIGMA = 1.15, 0.008
"""A nearer head's extent in extents of its landmarks, which leave out hair and ears; its edge, sides of a crop."""
EDGE_SIGMA, EDGE_VARIANCE = 2.0, 1e-3
"""Extent of what shares one line from brightness to hair, pixels at `SMALL`, and the brightness' variance, [-1, 1]
values, below which the hair does not follow it."""
NECK_FADES = (0.03, 0.2)
"""Distance from the crop's lower border, crop sides, at which nothing of a neck is edited, and all of it."""
NEIGHBOURS = np.ones((3, 3), np.uint8)
"""How far what E shows beside a narrower face reaches, softly, beyond where the parser sees it."""
LEAST_HAIR = np.float32(0.05)
"""A hair's share below this counts as none: what is far from the hair is not to be touched at all."""


@dataclass(frozen=True, eq=False)
class FaceMasks:
    """Where an edit may act, each (S, S)."""

    face: Array
    """The union of the inner faces of I and E, with a soft edge inside (M of Eq. 6)."""
    hair: Array
    """The hair of I, and E's where that is drawn over I's face."""
    free: Array
    """1 but where something lies before the face and the hair."""
    features: Features | None = None
    """What may stay of I; None where that is not known, or not asked for."""
    fringe: Fringe | None = None
    """The hair that E draws over I's face; None for none."""

    def behind(self, heads: Sequence[Points]) -> FaceMasks:
        """The masks of a face that others may lie before, whose landmarks (478, 2) are `heads`, crop pixels."""
        if not heads:
            return self
        covered = np.zeros_like(self.free)
        for landmarks in heads:
            hull = cv2.convexHull(landmarks.astype(np.float32))
            middle = hull.mean(0, keepdims=True)
            cv2.fillConvexPoly(covered, np.rint(middle + HEAD * (hull - middle)).astype(np.int32), 1.0)
        return replace(self, free=self.free * (1 - blur(covered, HEAD_SIGMA * len(covered))))


def masks_by_landmarks(landmarks: Points, size: int) -> FaceMasks:
    """Mask by the landmarks (478, 2) of I, crop pixels: the face's oval, and where hair may be, above and beside it."""
    face = oval_mask(landmarks, size)
    hair = np.maximum(hair_mask(landmarks, size) - face, 0)
    return FaceMasks(feather(face), hair, np.ones((size, size), np.float32))


def masks_by_parser(
    parts: Array, picture: Array, covering: Array | None = None, *, hair: bool = True, features: bool = True
) -> FaceMasks:
    """Mask by the maps of I and of E, `parts` (2, C, n, n); `picture`: I (S, S, 3).

    `covering`: how far E's hair is drawn over I's face, (m, m), 0 to 1; None for not at all. `hair`: whether hair is
    edited; else its mask is empty. `features`: whether what may stay of the face is to be found.
    """
    (real, edited), size = parts, len(picture)
    inside = ramp(blur(_mask_inner_face(real, edited), INSIDE_SIGMA), *INSIDE)
    # a jaw that opens is drawn where the real neck is, in full
    inside *= 1 - np.minimum(_share(real, "neck"), _share(edited, "neck")) * _beyond_neck(len(inside))
    covered = ramp(blur(_share(real, "other"), COVERING_SIGMA), *COVERING)
    window = border_window(size)
    fringe = None if covering is None or not hair else _find_fringe(real, edited, covering)
    grown = _mask_hair(real, picture, fringe) * window if hair else np.zeros_like(window)
    found = find_features(*({name: _share(one, name) for name in SEEN} for one in parts)) if features else None
    return FaceMasks(resize(inside, size) * window, grown, 1 - resize(covered, size), found, fringe)


def _mask_hair(real: Array, picture: Array, fringe: Fringe | None) -> Array:
    hair = grow_along_brightness(_share(real, "hair"), picture)
    return hair if fringe is None else np.maximum(hair, resize(fringe.drawn, len(picture)))


def _find_fringe(real: Array, edited: Array, covering: Array) -> Fringe:
    hair = _share(real, "hair"), _share(edited, "hair")
    return find_fringe(hair, _share(real, *INNER_FACE), resize(covering, len(hair[0])))


def _mask_inner_face(real: Array, edited: Array) -> Array:
    """M_I ∪ M_E of Eq. 7, (n, n), and the neck: beards and age do not end at the jaw.

    Of the neck what is bare in both: another collar than the real one is not to be drawn on it. Nothing where E shows
    what is behind the head, beside a narrower jaw: that is not what is there; nor where it draws strands of hair on a
    forehead or a cheek, which no edit of the hair has asked for (beards are skin to the parser).
    """
    inner, drawn = (_share(parts, *INNER_FACE) for parts in (real, edited))
    bare = np.minimum(_share(real, "neck"), drawn + _share(edited, "neck"))
    beyond, before = (_share(parts, "background", "hair") for parts in (edited, real))
    uncovered = cv2.dilate(np.maximum(beyond - before, 0), NEIGHBOURS)
    union: Array = np.maximum(np.maximum(inner, drawn), bare)
    union *= 1 - np.maximum(uncovered, _share(edited, "background"))
    return union


@cache
def _beyond_neck(size: int) -> Array:
    """0 down to where what is edited of a neck begins to fade, 1 along the crop's lower border, (size, 1)."""
    from_border = (np.arange(size, 0, -1) / size).astype(np.float32)
    return 1 - ramp(from_border[:, None], *NECK_FADES)


def how_covered(real: Array) -> float:
    """What share of the face something lies before, 0 to 1, by the map of I: of the places inside its outline."""
    other = _share(real, "other") > 0.5
    points = cv2.findNonZero((_share(real, *INNER_FACE) > 0.5).view(np.uint8)) if other.any() else None
    if points is None:
        return 0.0
    outline = np.zeros(other.shape, np.uint8)
    cv2.fillConvexPoly(outline, cv2.convexHull(points), 1)
    return float((other & (outline > 0)).mean() / outline.mean())


def grow_along_brightness(share: Array, picture: Array) -> Array:
    """`share` (n, n) grown to the size of `picture` (S, S, 3), its edge where the brightness has one.

    A guided filter (He, Sun and Tang, 2010): round each place the mask is a line over the brightness, so that the
    mask of dark hair before a light wall ends at its own outline.
    """
    guide = _brightness(resize(picture, len(share)))
    mean, mean_share = blur(guide, EDGE_SIGMA), blur(share, EDGE_SIGMA)
    together = blur(share * guide, EDGE_SIGMA) - mean_share * mean
    variance = blur(guide * guide, EDGE_SIGMA) - mean * mean
    slope = np.asarray(together / (variance + np.float32(EDGE_VARIANCE)), np.float32)
    lines = np.dstack((blur(slope, EDGE_SIGMA), blur(mean_share - slope * mean, EDGE_SIGMA)))
    grown = resize(lines, len(picture))
    led = grown[..., 0] * _brightness(picture) + grown[..., 1]
    mask: Array = np.clip((led - LEAST_HAIR) / (1 - LEAST_HAIR), 0, 1)
    return mask


def _share(parts: Array, *names: str) -> Array:
    """How likely each place is one of `names`, (n, n)."""
    share: Array = parts[[CLASSES.index(name) for name in names]].sum(0, dtype=np.float32)
    return share


def _brightness(picture: Array) -> Array:
    """The brightness of a crop (S, S, 3), (S, S) in [-1, 1]."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]
