"""What the augmentations may and may not do to a picture."""

from __future__ import annotations

import cv2
import numpy as np

from rigid.arrays import Pixels
from rigid.training.augment import degrade, recolour, relight


def blob() -> Pixels:
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(cv2.resize(small, (64, 64), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_degrading_changes_a_picture_but_not_what_it_shows() -> None:
    picture = blob()
    for seed in range(20):
        degraded = degrade(picture, np.random.default_rng(seed))
        assert degraded.shape == picture.shape
        assert degraded.dtype == np.uint8
        assert not np.array_equal(degraded, picture)
        assert np.corrcoef(degraded.ravel(), picture.ravel())[0, 1] > 0.9


def test_recolouring_keeps_the_order_of_the_values() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    recoloured = recolour(ramp, np.random.default_rng(1)).astype(int)
    assert (np.diff(recoloured, axis=1) >= 0).all()


def test_relighting_takes_light_away_and_never_adds_any() -> None:
    white = np.full((64, 64, 3), 200, np.uint8)
    lit = [relight(white, np.random.default_rng(seed)).mean(2) for seed in range(40)]
    assert max(picture.mean() for picture in lit) < 200
    assert min(picture.mean() for picture in lit) < 60
    # some are lit from one side
    assert max(np.ptp(picture.mean(0)) for picture in lit) > 40


def test_the_same_seed_gives_the_same_picture() -> None:
    first, second = (degrade(blob(), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)
