from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.discovery.directions import (
    Gradients,
    fit_gradients,
    level_codes,
    normal_scores,
    solve_direction,
    spread_over_codes,
)
from tests.discovery.world import LEVEL_OF, MEASURES, N_CODES, draw, true_slopes


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def by_level(slopes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The true slopes (M, n_codes, D) summed over the codes of each level."""
    return np.stack([slopes[:, 0], slopes[:, 1] + slopes[:, 2], slopes[:, 4:].sum(1)], 1)


@pytest.fixture(scope="module")
def gradients() -> Gradients:
    codes = draw(0, 800)
    measures = np.einsum("mcd,bcd->bm", true_slopes(), codes).astype(np.float32)
    noise = 0.1 * np.random.default_rng(1).standard_normal(measures.shape)
    return fit_gradients(codes, (measures + noise).astype(np.float32), MEASURES, seed=0)


def test_levels_leave_out_the_codes_without_effect() -> None:
    assert level_codes(16) == [[0], [1, 2], [4, 5], [7, 8], [10, 11], [13, 14, 15]]
    assert level_codes(7) == [[0], [1, 2], [4, 5, 6]]


def test_known_slopes_are_recovered(gradients: Gradients) -> None:
    truth = by_level(true_slopes())
    for i, name in enumerate(MEASURES):
        assert gradients.r2[i] > 0.9, name
        assert cosine(gradients.slopes[i], truth[i]) > 0.99
        assert np.abs(gradients.slopes[i]).max(1).argmax() == LEVEL_OF[name]


def test_noise_explains_nothing() -> None:
    measures = np.random.default_rng(3).standard_normal((500, 1)).astype(np.float32)
    assert fit_gradients(draw(0, 500), measures, ("noise",), seed=0).r2[0] < 0.1


def test_a_control_is_held_still(gradients: Gradients) -> None:
    truth = by_level(true_slopes())
    free = solve_direction(gradients, {"smile": 1}, (1,), 0.0)
    held = solve_direction(gradients, {"smile": 1, "age": 0, "yaw": 0}, (1,), 0.0)
    smile, age = ((truth[i] * held).sum() for i in (0, 1))
    assert abs((truth[1] * free).sum() / (truth[0] * free).sum()) > 0.3
    assert abs(age / smile) < 0.05
    assert smile > 0


def test_a_control_can_be_pushed(gradients: Gradients) -> None:
    truth = by_level(true_slopes())
    pushed = solve_direction(gradients, {"smile": 1, "age": -1}, (1,), 0.0)
    assert (truth[0] * pushed).sum() > 0 > (truth[1] * pushed).sum()


def test_what_is_there_or_not_is_not_ranked() -> None:
    codes = draw(0, 800)
    there = (codes[:, 0, 0] > 1).astype(np.float32)[:, None]
    # below the threshold, noise alone sets the order
    measures = there + 1e-3 * np.random.default_rng(0).standard_normal(there.shape).astype(np.float32)
    slopes = fit_gradients(codes, measures, ("glasses",), seed=0).slopes[0, 0]
    assert slopes[0] > 10 * np.abs(slopes[1:]).max()


def test_only_the_given_levels_move(gradients: Gradients) -> None:
    direction = solve_direction(gradients, {"smile": 1, "yaw": 0}, (1, 2), 0.5)
    assert not direction[0].any()
    assert direction[1].any()


def test_a_natural_move_follows_where_codes_vary() -> None:
    slopes = np.array([[[1.0, 1.0]]])
    gradients = Gradients(("smile",), slopes, np.diag([4.0, 1.0]), np.ones(1))
    np.testing.assert_allclose(solve_direction(gradients, {"smile": 1}, (0,), 0.0), [[0.5, 0.5]], atol=1e-5)
    np.testing.assert_allclose(solve_direction(gradients, {"smile": 1}, (0,), 1.0), [[0.8, 0.2]], atol=1e-5)


def test_twin_measures_do_not_blow_the_solution_up() -> None:
    slopes = np.ones((2, 1, 2))
    gradients = Gradients(("smile", "grin"), slopes, np.eye(2), np.ones(2))
    assert np.isfinite(solve_direction(gradients, {"smile": 1, "grin": 0}, (0,), 0.0)).all()


def test_normal_scores_keep_the_order_and_lose_the_skew() -> None:
    values = np.exp(np.random.default_rng(0).standard_normal((1000, 1)) * 3).astype(np.float32)
    scores = normal_scores(values).numpy()[:, 0]
    assert (np.argsort(scores) == np.argsort(values[:, 0])).all()
    assert abs(scores.mean()) < 1e-6 and abs(scores.std() - 1) < 0.02 and abs((scores**3).mean()) < 1e-6


def test_a_level_is_laid_on_all_its_codes() -> None:
    edit = spread_over_codes(np.array([[1.0], [2.0], [3.0]]), N_CODES)
    assert edit.dtype == np.float32
    np.testing.assert_array_equal(edit[:, 0], [1, 2, 2, 0, 3, 3, 3])
