"""Hair over a forehead, on maps drawn by hand."""

from __future__ import annotations

import numpy as np

from rigid.arrays import Array
from rigid.composite.fringe import find_fringe

SIZE = 64
FOREHEAD = slice(20, 30)
COLUMNS = slice(16, 48)


def area(rows: slice, columns: slice = COLUMNS) -> Array:
    shown = np.zeros((SIZE, SIZE), np.float32)
    shown[rows, columns] = 1
    return shown


REAL, LONGER, FACE = area(slice(4, 20)), area(slice(4, 30)), area(slice(20, 56))


def test_all_the_hair_counts_that_hangs_together_with_what_is_drawn_anew() -> None:
    """O has hair down to row 24, so that only what lies below is drawn anew."""
    fringe = find_fringe((REAL, LONGER), FACE, area(slice(24, 30)))
    assert fringe.drawn[slice(19, 28), slice(20, 44)].min() > 0.9, "up to within the real hair"
    assert fringe.drawn[:12].max() < 0.01 and fringe.drawn[34:].max() < 0.01


def test_hair_that_is_not_drawn_anew_is_no_fringe() -> None:
    assert not find_fringe((REAL, LONGER), FACE, area(slice(0, 0))).drawn.any()
    elsewhere = find_fringe((REAL, LONGER), FACE, area(FOREHEAD, slice(16, 20)))
    assert elsewhere.drawn[FOREHEAD, 40:].max() < 0.01


def test_a_fringe_differs_from_the_generated_one_as_the_hair_does() -> None:
    """O's hair is too light and its forehead too dark; on the forehead that says nothing of hair."""
    fringe = find_fringe((REAL, LONGER), FACE, area(FOREHEAD))
    real, before = np.zeros((2, SIZE, SIZE, 3), np.float32)
    before += np.where(REAL[..., None] > 0, np.float32(0.3), np.float32(-0.5))
    colour = fringe.recolour(real - before, real, before)
    np.testing.assert_allclose(colour[slice(22, 27), slice(20, 44)], -0.3, atol=0.05)
    np.testing.assert_allclose(colour[40:50], 0.5, atol=1e-5)


def test_without_hair_to_be_like_all_is_finite() -> None:
    bald = find_fringe((np.zeros_like(REAL), LONGER), FACE, area(FOREHEAD))
    picture = np.zeros((SIZE, SIZE, 3), np.float32)
    assert np.isfinite(bald.recolour(picture, picture, picture + 1)).all()
