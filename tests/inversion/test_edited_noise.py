"""The edited face's noise map: without the old mouth where an edit draws another, and whole everywhere else."""

from __future__ import annotations

import numpy as np
import pytest

from rigid.arrays import Array
from rigid.edits.edit_effect import EditEffect
from rigid.face.landmarks import INNER_LIPS, INNER_MOUTH_CORNERS
from rigid.face.masks import eyes_mask, forehead_mask
from rigid.fields import resize
from rigid.inversion.edited_noise import EASE, WAIT, Redrawn, Synthesize, redraw
from tests.worlds import landmarks_in_crop

SIZE, CHANNELS, CELLS = 64, 4, 16
NOISE = np.ones((1, CHANNELS, CELLS, CELLS), np.float32)
SMILE = {"smile": 1.0}


def landmarks(opening: float = 0.0) -> Array:
    """A face in crop sides, its lips apart by `opening` of their width."""
    points = landmarks_in_crop(SIZE) / np.float32(SIZE)
    points[INNER_MOUTH_CORNERS] = [[0.4, 0.65], [0.6, 0.65]]
    points[INNER_LIPS] = [[0.5, 0.65], [0.5, 0.65 + 0.2 * opening]]
    return points


class Painter:
    """Draws stripes, as strong as the code's first number over the mouth, and as its second over the whole face."""

    def __init__(self) -> None:
        self.noises: list[Array] = []

    def __call__(self, codes: Array, noise: Array) -> Array:
        self.noises.append(noise)
        stripes = np.where(np.arange(SIZE) // 2 % 2, 1, -1) * np.ones((SIZE, 1))
        mouth = np.zeros((SIZE, SIZE))
        mouth[34:50, 22:42] = 1
        strength = codes[:, 0, 0, None, None] * mouth + codes[:, 0, 1, None, None]
        return np.repeat((strength * stripes)[:, None], 3, 1).astype(np.float32)


def codes(change: float, everywhere: float = 0.0) -> Array:
    """Of an inverted and an edited face that differ by `change` at the mouth, and by `everywhere` in all of it."""
    pair = np.zeros((2, 2, 4), np.float32)
    pair[1, 0, :2] = change, everywhere
    return pair


class EditedNoise:
    """One stream's noise maps for its edited faces, each going on from the one before."""

    def __init__(self, synthesize: Synthesize) -> None:
        self._synthesize = synthesize
        self.redrawn = Redrawn()

    def __call__(
        self, noise: Array, codes: Array, edits: dict[str, float], landmarks: Array, shut: float = 0.0
    ) -> Array:
        effect = EditEffect(edits, shut_eyes=shut)
        edited, self.redrawn = redraw(noise, codes, effect, landmarks, self.redrawn, self._synthesize)
        return edited


def settle(edited_noise: EditedNoise, change: float, edits: dict[str, float], opening: float = 0.0) -> Array:
    for _ in range(20):
        noise = edited_noise(NOISE, codes(change), edits, landmarks(opening))
    return noise


def mouth_and_rest(noise: Array) -> tuple[float, float]:
    """The least of the map, and the map at the forehead."""
    return float(noise.min()), float(noise[0, 0, 3, CELLS // 2])


def test_an_edit_that_draws_another_mouth_is_rid_of_the_old_ones_detail() -> None:
    edited_noise = EditedNoise(Painter())
    mouth, rest = mouth_and_rest(settle(edited_noise, 1.0, SMILE))
    assert mouth < 0.05 and rest == 1


def test_what_is_measured_first_holds_at_once_and_what_comes_later_step_by_step() -> None:
    edited_noise = EditedNoise(Painter())
    first = mouth_and_rest(edited_noise(NOISE, codes(1.0), SMILE, landmarks()))[0]
    for _ in range(WAIT):
        later = mouth_and_rest(edited_noise(NOISE, codes(0.01), {"age": 1.0}, landmarks()))[0]
    assert first < 0.05
    assert 1 - later == pytest.approx((1 - EASE) * (1 - first))


def test_a_mouth_is_judged_by_the_face_edited_without_its_hair() -> None:
    smile, everything = codes(1.0)[1:], codes(1.0, 2.0)
    judged, unjudged = EditedNoise(Painter()), EditedNoise(Painter())
    edits = {"smile": 1.0, "hair": 1.0}
    assert judged(NOISE, np.concatenate([everything, smile]), edits, landmarks()).min() < 0.05
    assert unjudged(NOISE, everything, edits, landmarks()).min() == 1


def test_a_mouth_wide_open_keeps_its_detail() -> None:
    assert np.array_equal(settle(EditedNoise(Painter()), 1.0, SMILE, opening=0.9), NOISE)
    mouth, _ = mouth_and_rest(settle(EditedNoise(Painter()), 1.0, SMILE, opening=0.6))
    assert 0.3 < mouth < 0.7


def test_it_is_measured_without_a_noise_map_and_only_where_edits_change() -> None:
    painter = Painter()
    edited_noise = EditedNoise(painter)
    settle(edited_noise, 1.0, SMILE)
    assert len(painter.noises) == 1 and not painter.noises[0].any()
    for number in range(4 * WAIT):
        edited_noise(NOISE, codes(0.1 * number), {"smile": 0.1 * number}, landmarks())
    assert len(painter.noises) == 1 + 4


class Fringe:
    """Darkens the forehead by the code's first number, and all of the face by its second."""

    def __call__(self, codes: Array, noise: Array) -> Array:
        forehead = forehead_mask(landmarks() * SIZE, SIZE)
        shade = codes[:, 0, 0, None, None] * forehead + codes[:, 0, 1, None, None]
        return np.repeat(-shade[:, None], 3, 1).astype(np.float32)


def test_an_edit_that_covers_the_forehead_is_rid_of_its_detail() -> None:
    edited_noise = EditedNoise(Fringe())
    noise = settle(edited_noise, 0.5, {"bangs": 1.0})
    forehead, mouth = noise[0, 0, 3, CELLS // 2], noise[0, 0, 10, CELLS // 2]
    assert edited_noise.redrawn.forehead > 0.99 and forehead < 0.1 and mouth == 1


def test_a_fringe_that_is_there_already_covers_nothing_when_it_changes() -> None:
    def dye(codes: Array, noise: Array) -> Array:
        dark = forehead_mask(landmarks() * SIZE, SIZE) * (codes[:, 0, 0, None, None] - 0.8)
        return np.repeat(dark[:, None], 3, 1).astype(np.float32)

    edited_noise = EditedNoise(dye)
    settle(edited_noise, 0.5, {"hair_blond": 1.0})
    assert edited_noise.redrawn.forehead < 0.01


@pytest.mark.parametrize("change", [codes(0.02), codes(0.2, 0.4)], ids=["hardly", "like the rest of the face"])
@pytest.mark.parametrize("draw", [Painter(), Fringe()], ids=["mouth", "forehead"])
def test_an_edit_that_does_neither_keeps_all_detail(draw: Painter | Fringe, change: Array) -> None:
    edited_noise = EditedNoise(draw)
    for _ in range(10):
        noise = edited_noise(NOISE, change, {"age": 1.0}, landmarks())
    assert np.array_equal(noise, NOISE) and edited_noise.redrawn.forehead == 0


def test_eyes_that_are_shut_are_rid_of_their_detail_and_no_others() -> None:
    edited_noise, places = EditedNoise(Painter()), landmarks()
    unmoved = codes(0.0)
    shut = edited_noise(NOISE, unmoved, {"eyes_closed": 1.0}, places, 1.0)
    half = edited_noise(NOISE, unmoved, {"eyes_closed": 0.25}, places, 0.5)
    eyes = resize(eyes_mask(places * (4 * CELLS), 4 * CELLS), CELLS)
    np.testing.assert_allclose(shut[0, 0], 1 - eyes, atol=1e-6)
    np.testing.assert_allclose(half[0, 0], 1 - eyes / 2, atol=1e-6)
    assert eyes.max() > 0.8 and np.array_equal(edited_noise(NOISE, unmoved, {}, places), NOISE)


def test_once_the_edit_is_gone_the_detail_is_back() -> None:
    edited_noise = EditedNoise(Painter())
    settle(edited_noise, 1.0, SMILE)
    first = mouth_and_rest(edited_noise(NOISE, codes(0.01), {"hair": 1.0}, landmarks()))[0]
    assert first == pytest.approx(1 - (1 - EASE), abs=0.05), "step by step"
    assert settle(edited_noise, 0.01, {"hair": 1.0}).min() > 0.999


def test_after_forgetting_it_begins_anew() -> None:
    edited_noise = EditedNoise(Painter())
    settle(edited_noise, 1.0, SMILE)
    edited_noise.redrawn = Redrawn()
    assert np.array_equal(edited_noise(NOISE, codes(0.01), {"hair": 1.0}, landmarks()), NOISE)


def test_without_a_noise_map_nothing_is_measured() -> None:
    painter = Painter()
    nothing = np.zeros_like(NOISE)
    edited_noise = EditedNoise(painter)
    assert edited_noise(nothing, codes(1.0), SMILE, landmarks()) is nothing
    assert not painter.noises
