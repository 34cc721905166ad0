"""The warp error on pictures that move in known ways."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.evaluation.warp_error import Motion, MotionEstimator, visible, warp

SHAPE = (96, 128)


def texture(seed: int = 0, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 1, (*shape, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray(128 + 400 * smooth, np.float32).clip(0, 255).astype(np.uint8)


def shift(x: float, y: float) -> NDArray[np.float32]:
    return np.broadcast_to(np.array([x, y], np.float32), (*SHAPE, 2)).copy()


def moved(picture: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
    return np.roll(picture, (y, x), (0, 1))


def everywhere() -> NDArray[np.bool_]:
    inside = np.zeros(SHAPE, bool)
    inside[10:-10, 10:-10] = True
    return inside


def test_a_translation_with_its_known_flow_has_no_error() -> None:
    previous = texture()
    current = moved(previous, 3, -2)
    assert Motion(shift(-3, 2), everywhere()).error(previous, current) == 0.0
    assert Motion(shift(0, 0), everywhere()).error(previous, current) > 50


def test_the_error_is_a_mean_square_of_values_up_to_255() -> None:
    previous = np.full((*SHAPE, 3), 100, np.uint8)
    still = Motion(shift(0, 0), np.ones(SHAPE, bool))
    assert still.error(previous, previous + np.uint8(7)) == pytest.approx(49)
    flicker = previous.copy()
    flicker[:48] += np.uint8(10)
    assert still.error(previous, flicker) == pytest.approx(50)


def test_only_visible_pixels_of_the_region_count() -> None:
    previous = np.full((*SHAPE, 3), 100, np.uint8)
    current = previous.copy()
    current[:, :64] = 200
    seen = np.ones(SHAPE, bool)
    seen[:, :32] = False
    right = np.zeros(SHAPE, bool)
    right[:, 64:] = True
    motion = Motion(shift(0, 0), seen)
    assert motion.error(previous, current) == pytest.approx(100**2 / 3)
    assert motion.error(previous, current, right) == 0.0
    assert math.isnan(Motion(shift(0, 0), ~np.ones(SHAPE, bool)).error(previous, current))


def test_the_estimator_finds_a_translation() -> None:
    previous = texture()
    motion = MotionEstimator()(previous, moved(previous, 4, 2))
    inner = motion.flow[20:-20, 20:-20].reshape(-1, 2)
    assert np.median(inner, 0) == pytest.approx([-4, -2], abs=0.2)
    assert motion.visible[20:-20, 20:-20].mean() > 0.9
    assert motion.error(previous, moved(previous, 4, 2), everywhere()) < 10
    assert motion.error(previous, texture(1), everywhere()) > 500


def test_flicker_raises_the_error_over_the_sources_own() -> None:
    random = np.random.default_rng(0)
    source = [moved(texture(), i, 0) for i in range(3)]
    output = [np.asarray(frame + random.normal(0, 8, frame.shape)).clip(0, 255).astype(np.uint8) for frame in source]
    estimate = MotionEstimator()
    for i in (1, 2):
        motion = estimate(source[i - 1], source[i])
        assert motion.error(output[i - 1], output[i]) > motion.error(source[i - 1], source[i]) + 50


def test_what_leaves_the_frame_is_not_visible() -> None:
    seen = visible(shift(-5, 0), shift(5, 0))
    assert not seen[:, :5].any() and seen[:, 5:].all()


def test_where_flow_and_flow_back_disagree_is_not_visible() -> None:
    backward = shift(2, 0)
    backward[:, 60:70] = 8
    seen = visible(shift(-2, 0), backward)
    assert not seen[:, 63:71].any() and seen[:, 10:60].all() and seen[:, 75:].all()


def test_borders_of_moving_things_are_not_visible() -> None:
    forward = shift(0, 0)
    forward[:, 64:] = (-1, 0)
    seen = visible(forward, -forward)
    assert not seen[:, 63:65].any() and seen[:, :62].all() and seen[:, 66:].all()


def test_warping_takes_each_pixel_from_where_the_flow_points() -> None:
    picture = texture()
    assert np.array_equal(warp(picture, shift(3, 0))[:, :-3], picture[:, 3:].astype(np.float32))
