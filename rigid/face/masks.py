"""Parts of an aligned face by its landmarks, their union and their soft edge (Eq. 6).

Masks are float32 (S, S) in [0, 1], landmarks (478, 2) in crop pixels.
"""

from __future__ import annotations

from functools import cache, reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.face.landmarks import BROWS_TOP, CHIN, FACE_OVAL, FOREHEAD_TOP, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from rigid.fields import smooth
from rigid.geometry import Points

FEATHER = 0.022
"""Standard deviation of the mask's soft edge, in crop sides (5.6 px of 256)."""
SUBPIXEL_BITS = 4


def oval_mask(landmarks: Points, size: int) -> Array:
    """The face oval, chin and forehead included, anti-aliased, (size, size).

    `landmarks` (478, 2) in crop pixels. Their oval ends short of the hairline; its upper part is
    drawn out to where the forehead ends (see `with_forehead`).
    """
    return polygon_mask(with_forehead(np.asarray(landmarks, np.float64)), size)


def lips_mask(landmarks: Points, size: int, grow: float = 0.15) -> Array:
    """The mouth, lips included, (size, size), grown by `grow` of its width on every side."""
    lips = np.asarray(landmarks, np.float64)[OUTER_LIPS]
    width = float(np.ptp(lips[:, 0]))
    away = lips - lips.mean(0)
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    return polygon_mask(lips + grow * width * away, size)


EYES_RISE, EYES_FALL, EYES_WIDTH = 0.5, 0.35, 1.3
"""How far up and down, in widths of an eye, what is drawn with it reaches from its middle, and how wide that is."""


def eyes_mask(landmarks: Points, size: int) -> Array:
    """Mask both eyes with their lids and lashes, (size, size): half an ellipse above each and another below."""
    points = np.asarray(landmarks, np.float64)
    across = points[RIGHT_EYE].mean(0) - points[LEFT_EYE].mean(0)
    across /= max(float(np.linalg.norm(across)), 1e-9)
    down = np.array([-across[1], across[0]])
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    high = np.sin(turns) * np.where(np.sin(turns) < 0, EYES_RISE, EYES_FALL)
    outline = EYES_WIDTH / 2 * np.cos(turns)[:, None] * across + high[:, None] * down
    eyes = (points[LEFT_EYE], points[RIGHT_EYE])
    return union(*(polygon_mask(eye.mean(0) + np.ptp(eye @ across) * outline, size) for eye in eyes))


HAIR_RISE, HAIR_WIDTH = 0.45, 0.35
"""How much higher than the face oval, in faces, and wider, in faces at that height, hair may be."""
HAIR_FALL = (0.5, -0.1)
"""Where beside the face, from the chin (0) to the top of its oval (1), hair is taken for less, and for nothing."""
STRANDS = 0.8
"""How far from the face's middle, in halves of its width, what hangs down beside it begins."""
FOREHEAD_RISE = 0.04
"""The hairline lies this share of the face's height above the oval's top."""
HAIRLINE = 0.1
"""What covers the forehead begins this share of the face's height above the hairline."""


def with_forehead(landmarks: Points, rise: float = FOREHEAD_RISE) -> NDArray[np.float64]:
    """The face oval (36, 2) of `landmarks` (478, 2), its upper part raised by `rise`, to the estimated hairline.

    Points move along the face's own up axis, from nothing at the temples to the whole rise at the top.
    """
    points = np.asarray(landmarks, np.float64)
    oval = points[FACE_OVAL]
    up = points[FOREHEAD_TOP] - points[CHIN]
    along = (oval - points[CHIN]) @ up / max(float(up @ up), 1e-9)
    share = np.clip((along - 0.6) / 0.4, 0.0, 1.0)
    raised: NDArray[np.float64] = oval + rise * share[:, None] * up
    return raised


def forehead_mask(landmarks: Points, size: int) -> Array:
    """The face from the brows up, and beyond the estimated hairline, (size, size)."""
    points = np.asarray(landmarks, np.float64)
    up, brows = points[FOREHEAD_TOP] - points[CHIN], points[BROWS_TOP].mean(0)
    oval = with_forehead(points, FOREHEAD_RISE + HAIRLINE)
    return polygon_mask(oval[(oval - brows) @ up > 0], size)


def hair_mask(landmarks: Points, size: int) -> Array:
    """Mask where the hair may be, the face from the eyes up included, (size, size) with a feathered edge.

    The upper part of the face oval of `landmarks` (478, 2), crop pixels, drawn out by `HAIR_RISE` and `HAIR_WIDTH`,
    and what hangs down on both sides of the face, less and less (`HAIR_FALL`).
    """
    points = np.asarray(landmarks, np.float64)
    chin, oval = points[CHIN], points[FACE_OVAL]
    up = points[FOREHEAD_TOP] - chin
    along = (oval - chin) @ up / max(float(up @ up), 1e-9)
    upper = np.clip((along - 0.5) / 0.5, 0.0, 1.0)[:, None]
    middle = chin + along[:, None] * up
    cap = middle + (1 + HAIR_WIDTH * (along[:, None] > 0.5)) * (oval - middle) + HAIR_RISE * upper * up
    beside = np.maximum(_strands(oval, chin, up, size) - polygon_mask(oval, size), 0)
    return feather(np.maximum(polygon_mask(cap[along > 0.5], size), beside)) * _falling(chin, up, size)


def _strands(oval: Points, chin: Points, up: Points, size: int) -> Array:
    """Two upright bars along the sides of the face `oval` (36, 2); `up` from the `chin` to its top."""
    across = np.array([-up[1], up[0]]) / max(float(np.linalg.norm(up)), 1e-9)
    sides = (oval - chin) @ across
    middle, half = (sides.max() + sides.min()) / 2, np.ptp(sides) / 2
    area = np.zeros((size, size), np.float32)
    for side in (-half, half):
        inner, outer = middle + STRANDS * side, middle + (1 + HAIR_WIDTH) * side
        corners = [(inner, 0.7), (outer, 0.7), (outer, HAIR_FALL[1]), (inner, HAIR_FALL[1])]
        area += polygon_mask(np.array([chin + x * across + y * up for x, y in corners]), size)
    return area


def _falling(chin: Points, up: Points, size: int) -> Array:
    """1 from `HAIR_FALL`'s start on, 0 below its end, along `up` from the `chin`, (size, size)."""
    start, end = HAIR_FALL
    slope = up / max(float(up @ up), 1e-9) / (start - end)
    centres = np.arange(size) + 0.5
    x, y = slope[0] * (centres - chin[0]), slope[1] * (centres - chin[1])
    falling: Array = (x.astype(np.float32) + (y - end / (start - end)).astype(np.float32)[:, None]).clip(0, 1)
    return falling


def polygon_mask(polygon: Points, size: int) -> Array:
    """The filled polygon (N, 2), crop pixels, anti-aliased, (size, size)."""
    mask = np.zeros((size, size), np.uint8)
    # OpenCV counts from the first pixel's centre, in sixteenths.
    points = np.rint((polygon - 0.5) * (1 << SUBPIXEL_BITS)).clip(-(2**20), 2**20).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return mask.astype(np.float32) / np.float32(255)


def union(*masks: Array) -> Array:
    """M_I ∪ M_E of Eq. 7: the largest of the masks at each pixel."""
    return reduce(np.maximum, masks)


def feather(mask: Array) -> Array:
    """`mask` with a soft edge that falls to zero about where it ended, and zero along the crop's border.

    The softening reaches inwards, so that hair and background outside the mask keep out.
    """
    size = mask.shape[0]
    sigma = FEATHER * size
    small = cv2.resize(mask, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / 2, borderType=cv2.BORDER_CONSTANT)
    # A blurred straight edge passes 0.5 at the edge itself: stretch what lies inside to [0, 1].
    inside = np.clip(np.float32(2.2) * blurred - np.float32(1.1), 0, 1)
    soft: Array = cv2.resize(smooth(inside), (size, size), interpolation=cv2.INTER_LINEAR)
    soft *= border_window(size)
    return soft


@cache
def border_window(size: int) -> Array:
    """Make a mask of one inside a crop, falling to zero over its outermost pixels."""
    from_edge = np.minimum(np.arange(size), np.arange(size)[::-1]) / (0.03 * size)
    ramp = np.clip(from_edge, 0.0, 1.0).astype(np.float32)
    return np.minimum(ramp, ramp[:, None])
