"""The edited face's noise map: without the old detail where an edit draws something else, whole everywhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rigid.arrays import Array
from rigid.edits.attribute_header import FEATURES
from rigid.edits.edit_effect import EditEffect
from rigid.face.landmarks import INNER_LIPS, INNER_MOUTH_CORNERS
from rigid.face.masks import eyes_mask, lips_mask
from rigid.inversion.redrawing import EASE, FAR, STALE, WAIT, Redrawn, complete_features, drop_old_detail, measure_anew
from rigid.models.contract import CLASSES
from tests.fakes import TINY, FakeRuntime
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


class Painter(FakeRuntime):
    """Draws stripes, as strong as the code's first number over the mouth, and as its second over the whole face."""

    def __init__(self, n_classes: int = 0) -> None:
        super().__init__(replace(TINY, noise_shape=(CHANNELS, CELLS, CELLS), n_classes=n_classes))
        self.noises: list[Array] = []

    def synthesize(self, codes: Array, noise: Array) -> Array:
        self.noises.append(noise)
        stripes = np.where(np.arange(SIZE) // 2 % 2, 1, -1) * np.ones((SIZE, 1))
        mouth = np.zeros((SIZE, SIZE))
        mouth[38:46, 24:40] = 1
        strength = codes[:, 0, 0, None, None] * mouth + codes[:, 0, 1, None, None]
        return np.repeat((strength * stripes)[:, None], 3, 1).astype(np.float32)


def codes(change: float, everywhere: float = 0.0) -> Array:
    """Of an inverted and an edited face that differ by `change` at the mouth, and by `everywhere` in all of it."""
    pair = np.zeros((2, 2, 4), np.float32)
    pair[1, 0, :2] = change, everywhere
    return pair


class EditedNoise:
    """One stream's noise maps for its edited faces, each going on from the one before."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self._runtime = runtime
        self.redrawn = Redrawn()

    def __call__(self, noise: Array, codes: Array, edits: dict[str, float], landmarks: Array) -> Array:
        runtime, before = self._runtime, self.redrawn
        given = codes, EditEffect(edits), landmarks
        edited, self.redrawn = drop_old_detail(noise, *given, before, runtime, runtime.synthesize)
        # once the frame has been shown
        if self.redrawn.stale:
            self.redrawn = measure_anew(self.redrawn, *given, runtime, runtime.synthesize)
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


def test_of_another_edit_it_holds_at_once_and_of_the_same_one_step_by_step() -> None:
    edited_noise = EditedNoise(Painter())
    first = mouth_and_rest(edited_noise(NOISE, codes(1.0), SMILE, landmarks()))[0]
    for _ in range(STALE + 1):
        later = mouth_and_rest(edited_noise(NOISE, codes(0.01), SMILE, landmarks()))[0]
    assert first < 0.05
    assert 1 - later == pytest.approx((1 - EASE) * (1 - first))
    assert edited_noise(NOISE, codes(0.01), {"age": 1.0}, landmarks()).min() > 0.999


def test_a_mouth_is_judged_by_the_face_edited_without_its_hair() -> None:
    smile, everything = codes(1.0)[1:], codes(1.0, 2.0)
    judged, unjudged = EditedNoise(Painter()), EditedNoise(Painter())
    edits = {"smile": 1.0, "hair": 1.0}
    assert judged(NOISE, np.concatenate([everything, smile]), edits, landmarks()).min() < 0.05
    assert unjudged(NOISE, everything, edits, landmarks()).min() == 1


def test_a_mouth_wide_open_keeps_its_detail() -> None:
    lips = (0, 0, 10, CELLS // 2)
    shut, half, wide = (settle(EditedNoise(Painter()), 1.0, SMILE, opening)[lips] for opening in (0.0, 0.6, 0.9))
    assert shut < 0.05 and wide > 0.95
    assert abs(half - (shut + wide) / 2) < 0.05


def test_it_is_measured_without_a_noise_map_where_edits_change_and_now_and_then() -> None:
    painter = Painter()
    edited_noise = EditedNoise(painter)
    settle(edited_noise, 1.0, SMILE)
    assert len(painter.noises) == 1 and not painter.noises[0].any()
    for number in range(4 * WAIT):
        edited_noise(NOISE, codes(0.1 * number), {"smile": 0.1 * number}, landmarks())
    assert len(painter.noises) == 1 + 4
    for _ in range(2 * STALE):
        edited_noise(NOISE, codes(1.0), {"smile": 0.1 * number}, landmarks())
    assert len(painter.noises) == 1 + 4 + 2


class Fringe(Painter):
    """A face parser that sees hair over the forehead as far as the code's first number is above 0."""

    def __init__(self) -> None:
        super().__init__(len(CLASSES))
        self.hair: list[float] = []

    def synthesize(self, codes: Array, noise: Array) -> Array:
        self.hair = codes[:, 0, 0].tolist()
        return np.zeros((len(codes), 3, SIZE, SIZE), np.float32)

    def parse(self, pictures: Array) -> Array:
        maps = np.zeros((len(pictures), len(CLASSES), SIZE // 4, SIZE // 4), np.float32)
        for place, hair in zip(maps, self.hair, strict=True):
            place[CLASSES.index("hair"), :4] = hair
            place[CLASSES.index("skin")] = 1 - place[CLASSES.index("hair")]
        return maps


def test_another_part_in_the_place_of_one_is_rid_of_its_detail() -> None:
    fringe, faint = (settle(EditedNoise(Fringe()), hair, {"bangs": 1.0}) for hair in (1.0, 0.2))
    assert fringe[..., :3, :].max() < 0.01 and fringe[..., 6:, :].min() == 1
    assert np.array_equal(faint, NOISE)


@pytest.mark.parametrize(("feature", "mask"), [("mouth", lips_mask), ("lids", eyes_mask)])
def test_all_of_a_feature_is_drawn_anew_or_nothing(feature: str, mask: Callable[[Array, int], Array]) -> None:
    points, changes = landmarks_in_crop(SIZE) / np.float32(SIZE), dict.fromkeys(FEATURES, 0.0)
    around = mask(points * SIZE, SIZE) > 0.99
    third = (around & (np.arange(SIZE) % 3 == 0)).astype(np.float32)
    few = np.float32(0.05) * third
    assert complete_features(third, points, changes | {feature: 1.0})[around].min() > 0.99
    assert np.array_equal(complete_features(third, points, changes), third), "it is not meant to change"
    assert np.array_equal(complete_features(few, points, changes | {feature: 1.0}), few)


@pytest.mark.parametrize("change", [codes(0.02), codes(0.2, 0.4)], ids=["hardly", "like the rest of the face"])
def test_an_edit_that_does_neither_keeps_all_detail(change: Array) -> None:
    edited_noise = EditedNoise(Painter())
    for _ in range(10):
        noise = edited_noise(NOISE, change, {"age": 1.0}, landmarks())
    assert np.array_equal(noise, NOISE)


def test_a_strength_that_goes_far_is_measured_at_once() -> None:
    painter = Painter()
    edited_noise = EditedNoise(painter)
    for strength in (0.1, 0.1 + FAR / 2, 0.2 + FAR, 1.0):
        edited_noise(NOISE, codes(strength), {"smile": strength}, landmarks())
    assert len(painter.noises) == 1 + 2


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
