"""Hair that an edit draws over the real face: where it is, and which colours it is given.

Maps are float32 (n, n) in [0, 1] at the size of the parser's; pictures float32 (n, n, 3) in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rigid.arrays import Array
from rigid.composite.paste import repeat_for_colours
from rigid.fields import blur

EDGE_SIGMA = 0.7
"""How soft its edge is, pixels of the map."""
NEIGHBOURS = np.ones((3, 3), np.uint8)
HANGS = 8
"""How far it may hang together with what is drawn anew of it, pixels of the map."""
LAP = np.ones((5, 5), np.uint8)
"""How far it laps over the real hair, so that no skin is seen between them."""
NEAR_SIGMA, FAR_SHARE = 10.0, np.float32(0.02)
"""Of which places it takes its colours: those this near, pixels of the map; where these are fewer than the share, the
whole of the hair."""


@dataclass(frozen=True, eq=False)
class Fringe:
    """Hair that E shows over the face of I."""

    drawn: Array
    """Where it is, up to within the hair of I."""
    like: Array
    """The hair of I and E, which it is to be like."""

    def recolour(self, colour: Array, real: Array, before: Array) -> Array:
        """`colour` (n, n, 3), what I and O differ by, but where the fringe is what they differ by in the hair.

        On the forehead I and O, `real` and `before`, differ by what skin is to hair, or by the light on skin.
        """
        weight = repeat_for_colours(self.like)
        difference = weight * (real - before)
        mean = difference.sum((0, 1)) / max(float(self.like.sum()), 1e-6)
        near = blur(difference, NEAR_SIGMA) + FAR_SHARE * mean
        hair = near / (blur(weight, NEAR_SIGMA) + FAR_SHARE)
        recoloured: Array = colour + repeat_for_colours(self.drawn) * (hair - colour)
        return recoloured


def find_fringe(hair: tuple[Array, Array], face: Array, drawn: Array) -> Fringe:
    """The fringe by the shares of hair of I and E, that of the inner face of I, and `drawn`: what is drawn anew.

    O may have hair where I has none, so that nothing is drawn anew between the fringe and the real hair: it is all of
    E's hair over the face that hangs together with what is.
    """
    real, edited = hair
    over = np.minimum(edited, face)
    fringe = over * drawn
    for _ in range(HANGS):
        fringe = np.minimum(over, np.asarray(cv2.dilate(fringe, NEIGHBOURS), np.float32))
    reach = blur(np.asarray(cv2.dilate(fringe, LAP), np.float32), EDGE_SIGMA)
    return Fringe(reach * blur(edited, EDGE_SIGMA), np.minimum(real, edited) * (1 - drawn))
