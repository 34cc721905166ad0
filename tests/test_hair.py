"""How an edit's change of the hair is led along the real hair, and how far it reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rigid.blend import spread
from rigid.fields import resized
from rigid.hair import SMALL, brightness, led, reached

SIZE = 256
DARK, WALL = -0.8, 0.6
Crop = NDArray[np.float32]


def head(edge: int) -> Crop:
    """Dark hair left of the column `edge`, a light wall right of it."""
    picture = np.full((SIZE, SIZE, 3), WALL, np.float32)
    picture[:, :edge] = DARK
    return picture


def changed_by(change: Crop, real: Crop) -> Crop:
    guide = brightness(real)
    slope, level = led(resized(change, SMALL), guide)
    return resized(slope, SIZE) * spread(guide) + resized(level, SIZE)


def test_a_change_of_dark_hair_ends_where_the_real_hair_does() -> None:
    change = np.zeros((SIZE, SIZE, 3), np.float32)
    change[:, :133] = 0.5  # the generator's hair is five pixels larger than the real
    carried = changed_by(change, head(128))
    assert carried[128, 100:126].min() > 0.4 and carried[128, 131:].max() < 0.2
    blurred = resized(resized(change, SMALL), SIZE)
    assert carried[128, 129:133].mean() < 0.5 * blurred[128, 129:133].mean()


def test_without_edges_in_the_hair_the_change_is_what_it_is() -> None:
    change = np.full((SIZE, SIZE, 3), (0.3, 0.2, -0.1), np.float32)
    np.testing.assert_allclose(changed_by(change, head(SIZE)), change, atol=1e-4)
    assert not changed_by(np.zeros_like(change), head(128)).any()


def reach_of(hair_change: float, elsewhere: float) -> NDArray[np.float32]:
    """How far an edit reaches that changes the upper middle, where the hair is, and the rest of the picture."""
    inverted = head(128)
    edited = inverted + np.float32(elsewhere)
    edited[20:90, 60:196] = inverted[20:90, 60:196] + np.float32(hair_change)
    hair = np.zeros((SIZE, SIZE), np.float32)
    hair[10:130, 40:216] = 1
    return reached(inverted, edited, hair)


def test_it_reaches_as_far_as_the_hair_is_what_changes() -> None:
    for change in (0.3, 0.8):
        reach = reach_of(change, 0.2 * change)
        assert reach[40:70, 90:160].min() > 0.99 and reach[140:].max() < 0.01, "in shares of the largest change"
    assert not reach_of(0.05, 0.0).any(), "what any edit stirs up"


def test_a_slight_shift_of_the_whole_picture_is_no_change_of_the_hair() -> None:
    reach = reach_of(-0.25, -0.1)
    assert reach[40:70, 90:160].min() > 0.9 and reach[150:].max() < 0.01
    assert not reach_of(-0.1, -0.1).any()
