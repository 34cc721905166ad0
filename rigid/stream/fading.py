"""A face that comes and goes: how far its edit is faded in, and where a face went that was just lost."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.geometry import Points, Transform, apply, inverse

USUAL_INTERVAL = 1 / 30
"""Seconds between frames where the timestamps do not say."""
LARGEST_DIFFERENCE = 30.0
"""Between thumbnails of two crops of one face, in grey levels of 255. Neighbouring frames of 40 clips stay
below 15 (27 in one of quick head movement); four out of five pairs of different clips lie above."""
LARGEST_STEP = 0.25
"""How far a lost face may move in one frame, in sides of the crop; more is a mistake of the flow."""
THUMBNAIL = 16
FACE_ROWS, FACE_COLUMNS = slice(3, 14), slice(3, 13)
THUMBNAIL_SHAPE = (11, 10, 3)


class Fade(NamedTuple):
    """How fast an edit comes and goes."""

    seconds: float
    """The whole way from unedited to edited."""
    frames: int
    """The fewest frames it takes, however slow the stream is."""

    def advance(self, level: float | None, wanted: bool, elapsed: float) -> float:
        """The level, 0 to 1, one frame later, `elapsed` seconds on; a stream's first frame does not fade."""
        if level is None:
            return float(wanted)
        interval = usable_interval(elapsed)
        step = min(interval / self.seconds, 1 / self.frames) if self.seconds > 0 else 1 / self.frames
        return float(np.clip(level + (step if wanted else -step), 0.0, 1.0))


AT_ONCE = Fade(seconds=0.0, frames=1)
"""An edit is whole in the first frame that shows the face."""


def usable_interval(elapsed: float) -> float:
    """Seconds between two frames: what their timestamps say, where that can be."""
    return elapsed if 0 < elapsed < np.inf else USUAL_INTERVAL


def opacity_at(level: float) -> float:
    """How much of the generated face covers the frame: whole from half way on.

    The growing edit does the fading; the cross-fade only hides where the generated face differs from the
    real one, and would show two faces at once if it lasted longer.
    """
    return min(1.0, 2 * level)


def looks_alike(first: Pixels, second: Pixels) -> bool:
    """Whether two aligned crops (S, S, 3) can be neighbouring frames of one face, rather than a cut apart."""
    return are_alike(thumbnail(first), thumbnail(second))


def are_alike(first: Array, second: Array) -> bool:
    """`looks_alike` on the crops' thumbnails."""
    return bool(np.abs(first - second).mean() <= LARGEST_DIFFERENCE)


def thumbnail(crop: Pixels) -> Array:
    """The inner face of an aligned crop (S, S, 3), float32 `THUMBNAIL_SHAPE`, 0 to 255."""
    small = cv2.resize(crop, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)[FACE_ROWS, FACE_COLUMNS]


def follow(transform: Transform, before: Pixels, now: Pixels, points: Points) -> Transform:
    """The transform (2, 3), frame → crop, that keeps a lost face in place in its crop.

    `before`, `now`: crops (S, S, 3) of the last frame and of this one, both taken with `transform`; `points`
    (N, 2): where the face's landmarks lay in `before`. Where the movement cannot be told, `transform` itself.
    """
    motion = _motion(before, now, points)
    if motion is None:
        return transform
    back = inverse(motion)
    return np.column_stack((back[:, :2] @ transform[:, :2], apply(back, transform[:, 2])))


def _motion(before: Pixels, now: Pixels, points: Points) -> Transform | None:
    """The similarity that takes `before` to `now`, by sparse optical flow; None where too little agrees."""
    size = before.shape[0]
    inside = points[((points > 0) & (points < size)).all(1)][::4]
    if len(inside) < 8:
        return None
    # optical flow counts from the centre of the first pixel
    start = np.ascontiguousarray(inside - 0.5, np.float32)[:, None]
    greys = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in (before, now)]
    end, found, _ = cv2.calcOpticalFlowPyrLK(greys[0], greys[1], start, np.empty_like(start), maxLevel=4)
    kept = found[:, 0] == 1
    if kept.sum() < 8:
        return None
    motion, agreed = cv2.estimateAffinePartial2D(start[kept] + 0.5, end[kept] + 0.5, ransacReprojThreshold=2.0)
    if motion is None or agreed.sum() < len(inside) / 2:
        return None
    shift = np.abs(motion @ [size / 2, size / 2, 1.0] - size / 2).max()
    return np.asarray(motion, np.float64) if shift <= LARGEST_STEP * size else None
