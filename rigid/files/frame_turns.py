"""Frames that are stored turned or mirrored, and what makes them upright."""

from __future__ import annotations

from typing import NamedTuple

import av
import av.filter
import numpy as np
from av.sidedata.sidedata import SideData

from rigid.arrays import Pixels


class Turn(NamedTuple):
    """How a stored frame becomes upright: transposed first where `sideways`, then mirrored."""

    sideways: bool = False
    flip_x: bool = False
    flip_y: bool = False


UPRIGHT = Turn()


def turn_of(frame: av.VideoFrame) -> Turn:
    """What makes the frame upright, as its display matrix asks, in quarter turns."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return UPRIGHT
    # the matrix sends (x, y) to (a·x + c·y, b·x + d·y)
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32)[:5])
    if abs(b) > abs(a):
        return Turn(True, c < 0, b < 0)
    return Turn(False, a < 0, d < 0)


def turn_upright(image: Pixels, turn: Turn) -> Pixels:
    """Turn `image` (H, W, 3) upright."""
    image = image.swapaxes(0, 1) if turn.sideways else image
    return np.ascontiguousarray(image[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1])
