"""What happens to the codes between the encoders and the generator: sharing the late ones, adding the edit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rigid.arrays import Array

RECENT_SECONDS = 1.0
"""How far back the mean of the frames' own late codes looks."""
GLIDE_SECONDS = 1.0
FEWEST_FRAMES = 6
"""However slow the stream, shared codes take this many frames to move, and a mean to follow."""
LARGEST_DISTANCE = 0.1
"""Root mean square. Means over a second stray 0.04 from a clip's first frame in the median of 40 clips, 0.08 in nine
of ten, 0.14 in the worst; another person lies at 0.15 (0.09 in one of twenty pairs), half the light at 0.11 (0.05 to
0.19)."""


class Anchor(NamedTuple):
    """How the shared late codes stand to the frames they serve: over hours, light and people change."""

    recent: Array | None = None
    """Mean of the last frames' own late codes (B, n_shared_codes, code_size), None before the first frame."""
    gliding: float = 0.0
    """Seconds for which the shared codes still move to `recent`; 0 while they stand."""

    def asked_to_move(self) -> Anchor:
        """Forget the mean and move to what the next frames show."""
        return Anchor(None, GLIDE_SECONDS)


@dataclass(frozen=True)
class Shared:
    """A frame's codes with the late ones all frames share, and what to hand to the next frame."""

    codes: Array
    late_codes: Array
    anchor: Anchor


def share(codes: Array, late_codes: Array | None, anchor: Anchor, n_shared_codes: int, interval: float) -> Shared:
    """Eq. 3 for streams without end: as `share_late_codes`, but late codes that no longer suit are anchored anew.

    Once the mean of the frames' own late codes lies further than `LARGEST_DISTANCE` from the shared ones, these
    glide to it. There the distance is nothing again, so that neither a blink nor a slow sway sets them in motion.
    `interval`: seconds since the last frame.
    """
    own = codes[:, codes.shape[1] - n_shared_codes :]
    if late_codes is None:
        shared, late = share_late_codes(codes, None, n_shared_codes)
        return Shared(shared, late, Anchor(late))
    recent = _follow(anchor.recent, own, interval)
    gliding = anchor.gliding
    if gliding <= 0 and distance(recent, late_codes) > LARGEST_DISTANCE:
        gliding = GLIDE_SECONDS
    if gliding > 0:
        step = min(interval, GLIDE_SECONDS / FEWEST_FRAMES)
        late_codes = late_codes + np.float32(min(1.0, step / gliding)) * (recent - late_codes)
        gliding = max(0.0, gliding - step)
    shared, late = share_late_codes(codes, late_codes, n_shared_codes)
    return Shared(shared, late, Anchor(recent, gliding))


def distance(first: Array, second: Array) -> float:
    """Root mean square difference of codes; 0 where there are none."""
    return float(np.sqrt(np.square(first - second).mean())) if first.size else 0.0


def _follow(mean: Array | None, own: Array, interval: float) -> Array:
    if mean is None:
        return own.copy()
    share = min(interval / RECENT_SECONDS, 1 / FEWEST_FRAMES)
    return mean + np.float32(share) * (own - mean)


def share_late_codes(codes: Array, late_codes: Array | None, n_shared_codes: int) -> tuple[Array, Array]:
    """Eq. 3: keep a frame's early codes, take the late ones from the first frame of its stream.

    `codes` (B, n_codes, code_size); `late_codes` (B, n_shared_codes, code_size), None on the first frame.
    Returns the codes to synthesize and the late codes to hand to the next frame, both float32.
    """
    early, own_late = np.split(codes, [codes.shape[1] - n_shared_codes], axis=1)
    late = own_late.copy() if late_codes is None else late_codes
    return np.concatenate([early, late], axis=1), late


def add_edit(codes: Array, offset: Array, n_shared_codes: int) -> Array:
    """Eq. 5: move `codes` (B, n_codes, code_size) by `offset`, (n_codes, code_size) or one for each of the batch.

    The shared late codes stay as they are, as in the authors' training: they carry the texture that every
    frame has in common, and an edit there would change grain and colour rather than the face.
    """
    edited = codes.copy()
    n_early = codes.shape[1] - n_shared_codes
    edited[:, :n_early] += offset[..., :n_early, :]
    return edited
