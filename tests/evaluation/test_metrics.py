"""The measures on inputs whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.evaluation import metrics
from tests.evaluation.world import PixelDistance


def at(degrees: float) -> NDArray[np.float64]:
    """A unit vector at an angle: cosines of differences are similarities."""
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def turning(step: float, frames: range = range(4)) -> dict[int, NDArray[np.float64]]:
    return {i: at(step * i) for i in frames}


def cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def test_mse_is_on_values_from_minus_one_to_one() -> None:
    black, white = (np.full((3, 4, 4), value, np.float32) for value in (-1.0, 1.0))
    assert metrics.mean_squared_error(black, white) == 4.0
    assert metrics.mean_squared_error(black, black) == 0.0
    half = black.copy()
    half[:, :2] = 0.0
    assert metrics.mean_squared_error(black, half) == 0.5


def test_lpips_is_the_networks_distance() -> None:
    face = np.zeros((3, 8, 8), np.float32)
    assert metrics.lpips_distance(PixelDistance(), face, face + np.float32(0.25)) == pytest.approx(0.25)


def test_similarities_of_neighbours_and_of_all_pairs() -> None:
    embeddings = turning(30)
    assert metrics.local_similarity(embeddings) == pytest.approx(cosine(30))
    all_pairs = (3 * cosine(30) + 2 * cosine(60) + cosine(90)) / 6
    assert metrics.global_similarity(embeddings) == pytest.approx(all_pairs)
    assert metrics.global_similarity(embeddings, [0, 2]) == pytest.approx(cosine(60))


def test_frames_that_are_missing_are_no_neighbours() -> None:
    embeddings = {0: at(0), 1: at(10), 5: at(90), 6: at(110)}
    assert metrics.local_similarity(embeddings) == pytest.approx((cosine(10) + cosine(20)) / 2)
    assert math.isnan(metrics.local_similarity({0: at(0), 2: at(1)}))
    assert math.isnan(metrics.global_similarity({0: at(0)}))


def test_an_output_equal_to_its_source_has_the_identity_scores_one() -> None:
    source = turning(20)
    assert metrics.tl_id(source, source) == 1.0 and metrics.tg_id(source, source) == 1.0
    assert metrics.measure_paired_similarity(source, source) == pytest.approx(1.0)


def test_identity_scores_are_output_over_source() -> None:
    output, source = turning(40), turning(20)
    assert metrics.tl_id(output, source) == pytest.approx(cosine(40) / cosine(20))
    assert metrics.tg_id(output, source, [0, 1]) == pytest.approx(cosine(40) / cosine(20))
    assert metrics.tl_id(source, output) > 1
    assert metrics.measure_paired_similarity(output, source) == pytest.approx(
        np.mean([cosine(20 * i) for i in range(4)])
    )


def test_what_was_not_measured_is_left_out_of_means() -> None:
    assert metrics.mean([1.0, math.nan, 3.0]) == 2.0
    assert math.isnan(metrics.mean([math.nan])) and math.isnan(metrics.mean([]))
