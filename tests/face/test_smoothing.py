from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.face.smoothing import NOISE_SPEED, SPEED_GAIN, STILL_CUTOFF, LandmarkSmoother, face_length

LENGTH = 150.0
"""Of the face below, pixels."""


def grid_face(centre: tuple[float, float] = (200.0, 200.0), length: float = LENGTH) -> NDArray[np.float32]:
    """49 points on a square of side `length`."""
    axis = np.linspace(-0.5, 0.5, 7) * length
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    face: NDArray[np.float32] = (points + np.array(centre)).astype(np.float32)
    return face


def run(faces: list[NDArray[np.float32]], rate: float) -> list[NDArray[np.float32]]:
    smoother = LandmarkSmoother()
    return [smoother.smooth(face, i / rate) for i, face in enumerate(faces)]


def test_jitter_of_a_still_face_is_reduced_fourfold() -> None:
    rng = np.random.default_rng(0)
    noisy = [grid_face() + rng.normal(0, 0.3, (49, 2)).astype(np.float32) for _ in range(120)]
    smooth = run(noisy, 30)
    before = np.diff([face.mean(0) + face[0] for face in noisy[30:]], axis=0).std()
    after = np.diff([face.mean(0) + face[0] for face in smooth[30:]], axis=0).std()
    assert after < before / 4


@pytest.mark.parametrize("rate", [10.0, 30.0, 60.0])
@pytest.mark.parametrize("speed", [0.3, 2.0, 6.0])
def test_steady_movement_lags_less_than_stated(rate: float, speed: float) -> None:
    """`speed` in face lengths a second."""
    step = speed * LENGTH / rate
    faces = [grid_face((200 + step * i, 200)) for i in range(40)]
    smooth = run(faces, rate)
    lag = (faces[-1] - smooth[-1]).mean(0)[0] / LENGTH
    bound = speed / (2 * math.pi * (STILL_CUTOFF + SPEED_GAIN * (speed - NOISE_SPEED)))
    assert lag == pytest.approx(bound, rel=0.05)
    assert lag < 0.0075


def test_sudden_movement_is_followed_at_once() -> None:
    still = [grid_face()] * 15
    step = 2.0 * LENGTH / 30
    moving = [grid_face((200 + step * (i + 1), 200)) for i in range(5)]
    smooth = run(still + moving, 30)
    trailing = [(face - seen).mean(0)[0] / step for face, seen in zip(moving, smooth[15:], strict=True)]
    assert trailing[0] < 0.2
    assert trailing[-1] < 0.12


def test_size_of_the_face_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    wobble = [rng.normal(0, 0.004, (49, 2)) for _ in range(30)]
    small = run([(grid_face(length=40) + 40 * w).astype(np.float32) for w in wobble], 30)
    large = run([(grid_face(length=800) + 800 * w).astype(np.float32) for w in wobble], 30)
    np.testing.assert_allclose((small[-1] - 200) / 40, (large[-1] - 200) / 800, atol=1e-4)


def test_first_face_passes_unchanged() -> None:
    np.testing.assert_array_equal(LandmarkSmoother().smooth(grid_face(), 3.0), grid_face())


@pytest.mark.parametrize(("centre", "time"), [((350, 200), 0.1), ((201, 200), 1.0), ((201, 200), -0.1)])
def test_another_face_a_gap_or_a_rewound_clock_starts_anew(centre: tuple[float, float], time: float) -> None:
    smoother = LandmarkSmoother()
    smoother.smooth(grid_face(), 0.0)
    np.testing.assert_array_equal(smoother.smooth(grid_face(centre), time), grid_face(centre))


def test_the_same_timestamp_twice_stays_where_it_was() -> None:
    smoother = LandmarkSmoother()
    smoother.smooth(grid_face(), 0.0)
    before = smoother.smooth(grid_face((201, 200)), 0.03)
    np.testing.assert_array_equal(smoother.smooth(grid_face((202, 200)), 0.03), before)


def test_face_length_is_never_zero() -> None:
    assert face_length(np.zeros((478, 2), np.float32)) == 1.0
