from __future__ import annotations

import numpy as np
import pytest
import torch

from rigid.arrays import Array
from rigid.inversion.noise_smoothing import MOVING_SHARE, settle
from rigid.training import rollout

RANDOM = np.random.default_rng(0)


def draw(*shape: int) -> Array:
    return RANDOM.uniform(-1, 1, shape).astype(np.float32)


NOISE, PREVIOUS, FACE = draw(1, 4, 8, 8), draw(1, 4, 8, 8), draw(1, 3, 64, 64)


def test_the_first_map_is_taken_as_it_is() -> None:
    assert settle(NOISE, None, FACE, None, 0.4) is NOISE
    assert settle(NOISE, PREVIOUS, FACE, FACE, 1.0) is NOISE


def test_still_places_settle_and_moving_ones_follow() -> None:
    moved = FACE.copy()
    moved[..., :32] += 0.5
    mixed = settle(NOISE, PREVIOUS, moved, FACE, 0.25)
    followed = PREVIOUS + MOVING_SHARE * (NOISE - PREVIOUS)
    np.testing.assert_allclose(mixed[..., :4], followed[..., :4], atol=1e-6)
    np.testing.assert_allclose(mixed[..., 4:], (PREVIOUS + 0.25 * (NOISE - PREVIOUS))[..., 4:], atol=1e-6)
    assert mixed.dtype == np.float32


def test_an_encoder_that_corrects_too_much_comes_to_rest() -> None:
    """n = 1 + 1.5 (target - picture of n before): by itself it swings wider and wider."""
    loose, calm = np.zeros((1, 1, 8, 8), np.float32), np.zeros((1, 1, 8, 8), np.float32)
    for _ in range(40):
        loose = 1 + 1.5 * (3 - loose)
        calm = settle((1 + 1.5 * (3 - calm)).astype(np.float32), calm, FACE, FACE, 0.4)
    assert np.abs(loose).max() > 1e3
    np.testing.assert_allclose(calm, 5.5 / 2.5, atol=1e-4)


@pytest.mark.parametrize("change", [0.0, 0.05, 0.3])
def test_training_settles_as_streams_do(change: float) -> None:
    later = FACE + np.float32(change)
    noise, previous, now, before = (torch.from_numpy(array) for array in (NOISE, PREVIOUS, later, FACE))
    expected = settle(NOISE, PREVIOUS, later, FACE, 0.4)
    found = rollout.smooth_noise(noise, previous, now, before, 0.4).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
