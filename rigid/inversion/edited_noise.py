"""The noise map of the edited face: an edit that moves the mouth is not to find the old mouth in its way.

The noise map n_t holds the detail of the real face in its place. Where an edit makes lips and teeth anew, that detail
belongs to another mouth and shows as crumbs on the teeth; there E is generated without it. Whether an edit is of that
kind is measured on the face at hand: the inverted and the edited face without any noise map, compared at the mouth.

The forehead is done likewise: bangs are drawn over it whole where its own detail is out of their way. So are eyes
that an edit shuts, but that is told by the edit: what shuts eyes changes the pictures hardly otherwise than what widens
or shades them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from rigid.arrays import Array
from rigid.edits.edit_effect import EditEffect
from rigid.face.landmarks import INNER_LIPS, INNER_MOUTH_CORNERS
from rigid.face.masks import eyes_mask, forehead_mask, lips_mask, oval_mask
from rigid.fields import ramp, resize, rise
from rigid.geometry import Points

REDRAWN = (2.0, 2.8)
"""How much more the codes alone must change the mouth's edges than the rest of the face's for the mouth to count as
made anew, and to do so fully. On four faces: smile 3.7, mouth_open 3.2, lip_size 3.3, beard 2.6, lipstick 1.9, dark
hair 1.7, age 1.5, glasses 0.9; half as strong, they are alike or lie further apart."""
NOTICED = (0.02, 0.05)
"""Mean change of the mouth's edges, [-1, 1] values, below which it is nothing, and from which on it counts."""
FOREHEAD_COVERED = (2.6, 3.2)
"""The same for the forehead, of the change as it is, edges or not: bangs 3.2 to 11 on seven faces, all others that
ship at most 2.5."""
SEEN = (0.1, 0.2)
"""Its mean change, [-1, 1] values, below which it is nothing, and from which on it counts."""
UNLIKE_SKIN = (0.2, 0.4)
"""Difference in brightness from the rest of the face, [-1, 1] values, from which on a forehead is hardly,
and not, taken for bare."""
FINE_SIGMA = 8.0 / 256
"""What is smoother than this, crop sides, is colour, not edges."""
WIDE_OPEN = (0.4, 0.8)
"""Height over width of the real mouth's opening from which its detail is kept after all, and kept fully: the codes
alone make little of a mouth that is wide open."""
WAIT = 2
"""Frames between two measurements while an edit changes."""
EASE = 0.5
"""How fast what is taken follows what was measured, a frame; what was measured first holds at once."""
NOTHING = np.zeros(2, np.float32)


@dataclass(frozen=True, eq=False)
class Redrawn:
    """What a stream draws anew of its edited faces."""

    edits: Mapping[str, float] | None = None
    """Those it was measured for, None before the first."""
    age: int = WAIT
    """Frames since then."""
    measured: Array = field(default_factory=lambda: NOTHING)
    """How far they draw another mouth, and cover the forehead, 0 to 1 each."""
    share: Array = field(default_factory=lambda: NOTHING)
    """How far either is drawn anew by now."""

    @property
    def forehead(self) -> float:
        """How far the edit covers the forehead, as bangs do, 0 to 1."""
        return float(self.share[1])


Synthesize = Callable[[Array, Array], Array]
"""Makes pictures as `Runtime.synthesize` does; called once for each change of the edits."""


def redraw(
    noise: Array, codes: Array, effect: EditEffect, landmarks: Points, before: Redrawn, synthesize: Synthesize
) -> tuple[Array, Redrawn]:
    """(1, *noise_shape) for the edited face, from that of the inverted one, and what the next frame goes on from.

    `codes` (2 or 3, n_codes, code_size): the inverted and the edited face's, and maybe those of the face edited
    without its hair; `effect`: what they differ by; `landmarks` (478, 2) of the real face in crop sides.
    """
    if not noise.any():
        return noise, before
    now = _follow(before, noise, codes, effect.edits, landmarks, synthesize)
    size = noise.shape[-1]
    points, fine = landmarks * (4 * size), 4 * size
    closed = 1 - rise(_opening(landmarks), *WIDE_OPEN)
    taken = np.float32(now.share[0] * closed) * lips_mask(points, fine)
    if now.forehead:
        taken += np.float32(now.forehead) * forehead_mask(points, fine)
    if effect.shut_eyes:
        taken = np.maximum(taken, np.float32(effect.shut_eyes) * eyes_mask(points, fine))
    edited: Array = noise * (1 - resize(taken, size))
    return edited, now


def _follow(
    before: Redrawn,
    noise: Array,
    codes: Array,
    edits: Mapping[str, float],
    landmarks: Points,
    synthesize: Synthesize,
) -> Redrawn:
    """What is drawn anew one frame later: measured where the edits have changed, and approached step by step."""
    now = replace(before, age=before.age + 1)
    if edits != before.edits and now.age >= WAIT:
        measured = _measure(noise, codes, landmarks, synthesize)
        # nothing is shown yet that a jump could disturb
        now = Redrawn(dict(edits), 0, measured, measured if before.edits is None else before.share)
    return replace(now, share=now.share + EASE * (now.measured - now.share))


def _measure(noise: Array, codes: Array, landmarks: Points, synthesize: Synthesize) -> Array:
    """How far the codes alone draw another mouth, and cover the forehead, 0 to 1 each."""
    inverted, edited, *bare = synthesize(codes, np.zeros_like(noise).repeat(len(codes), 0)).mean(1)
    change, at_face = edited - inverted, (bare[0] if bare else edited) - inverted
    size = len(change)
    oval, mouth, forehead = (find(landmarks * size, size) for find in (oval_mask, lips_mask, forehead_mask))
    edges = np.abs(at_face - cv2.GaussianBlur(at_face, (0, 0), FINE_SIGMA * size))
    at_mouth = _noticed(edges, mouth, np.maximum(oval - mouth, 0), NOTICED, REDRAWN)
    rest = np.maximum(oval - mouth - forehead, 0)
    # a fringe that is there already is no skin that an edit could cover
    bare = 1 - ramp(np.abs(inverted - _mean(inverted, rest)), *UNLIKE_SKIN)
    covering = np.abs(change) * np.where(forehead > 0, bare, 1)
    return np.array([at_mouth, _noticed(covering, forehead, rest, SEEN, FOREHEAD_COVERED)], np.float32)


def _noticed(
    change: Array, there: Array, elsewhere: Array, amount: tuple[float, float], ratio: tuple[float, float]
) -> float:
    """How far `change` (n, n) is one of the place `there`, 0 to 1: by its `amount`, and its `ratio` to `elsewhere`."""
    one, other = _mean(change, there), _mean(change, elsewhere)
    return rise(one, *amount) * rise(one / max(other, 1e-6), *ratio)


def _mean(values: Array, mask: Array) -> float:
    """The mean of `values` where `mask` is."""
    return float((values * mask).sum() / max(float(mask.sum()), 1.0))


def _opening(landmarks: Points) -> float:
    """Height over width of the gap between the lips."""
    (upper, lower), (left, right) = (landmarks[pair] for pair in (INNER_LIPS, INNER_MOUTH_CORNERS))
    return float(np.linalg.norm(lower - upper) / max(float(np.linalg.norm(right - left)), 1e-6))
