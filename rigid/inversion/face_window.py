"""The part of a picture that an edit within the face needs: the generator's fine levels are not run for the rest."""

from __future__ import annotations

import numpy as np

from rigid.arrays import Array
from rigid.face.masks import with_forehead
from rigid.geometry import Points
from rigid.models.contract import Sizes

MARGIN = 14
"""Pixels from a window's edge up to which its generated pixels are not the whole picture's. The convolutions beyond
32×32 reach 18 pixels far; on the shipped generator the error is 0.2 at the edge, 0.01 at 12 and 0.001 at 14 pixels."""


def face_corner(landmarks: Points, sizes: Sizes) -> tuple[int, int] | None:
    """First row and column of the window round a face, in places of the noise map; None where it does not fit in.

    `landmarks` (478, 2), crop pixels. The face, forehead included, lies at least `MARGIN` inside the window, but where
    the window ends with the picture. Of 293 frames of 40 clips, all but one fit the 27 × 24 places of `mobile-256`.
    """
    assert sizes.face_window is not None
    oval = with_forehead(landmarks)[:, ::-1] / sizes.place_size
    low, high = oval.min(0), oval.max(0)
    extent, picture = np.array(sizes.face_window), np.array(sizes.noise_shape[1:])
    corner = np.rint((low + high - extent) / 2).clip(0, picture - extent)
    margin = MARGIN / sizes.place_size
    starts = (corner == 0) | (low - corner >= margin)
    ends = (corner + extent == picture) | (corner + extent - high >= margin)
    return (int(corner[0]), int(corner[1])) if (starts & ends).all() else None


def surround(faces: Array, corner: tuple[int, int], inputs: Array, sizes: Sizes) -> Array:
    """`faces` (B, 3, h, w), made for the window at `corner`, as whole pictures (B, 3, S, S).

    Round them is `inputs` (1, 3, S, S), the real face's picture, so that nothing differs there.
    """
    top, left = (place * sizes.place_size for place in corner)
    pictures = inputs.repeat(len(faces), 0)
    pictures[:, :, top : top + faces.shape[2], left : left + faces.shape[3]] = faces
    return pictures
