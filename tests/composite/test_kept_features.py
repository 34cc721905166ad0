"""Mouths, eyes, brows and ears that stay, on maps drawn by hand."""

from __future__ import annotations

import numpy as np

from rigid.arrays import Array
from rigid.composite.kept_features import MOST_GAIN, SEEN, Features, find_features

SIZE = 64
Place = tuple[slice, slice]
LIPS: Place = (slice(44, 50), slice(24, 40))
EYES: Place = (slice(26, 29), slice(20, 44))
EAR: Place = (slice(26, 38), slice(8, 12))
LOWER: Place = (slice(47, 53), slice(24, 40))


def shares(**places: Place) -> dict[str, Array]:
    """The share of each part: skin, and `places` in it."""
    found = {name: np.zeros((SIZE, SIZE), np.float32) for name in SEEN}
    found["skin"][12:60, 12:52] = 1
    for name, place in places.items():
        for share in found.values():
            share[place] = 0
        found[name][place] = 1
    return found


FACE = shares(lips=LIPS, eyes=EYES, ears=EAR)


def features(edited: dict[str, Array] = FACE) -> Features:
    return find_features(FACE, edited)


def plain(value: float) -> Array:
    return np.full((SIZE, SIZE, 3), value, np.float32)


def test_what_stays_is_the_mouth_of_both_and_the_ears_of_the_real_face() -> None:
    kept = features(shares(lips=LOWER, ears=(slice(26, 38), slice(4, 8)))).kept
    assert kept[LIPS].mean() > 0.8 and kept[EAR][2:-2, 1:-1].min() > 0.9
    assert kept[EAR[0], EAR[1].start - 1].max() < 0.1, "what lies behind an ear stays as it is"
    assert kept[LOWER].mean() > 0.8 and kept[LOWER[0].stop, 32] > 0.5, "with its outline"
    assert kept[34:40, 20:44].max() < 0.01 and kept[26:38, 4:7].max() < 0.01


def test_eyes_stay_that_are_shut_where_the_edited_ones_are_open() -> None:
    wider: Place = (slice(25, 31), EYES[1])
    for shut, other in (({}, {"eyes": EYES}), ({"eyes": EYES}, {"eyes": wider})):
        real, edited = (shares(lips=LIPS, **places) for places in (shut, other))
        assert find_features(real, edited).kept[EYES].mean() > 0.8


def test_brows_are_not_drawn_a_second_time_and_what_is_beside_them_is_the_edits() -> None:
    raised: Place = (slice(17, 20), EYES[1])
    lower: Place = (slice(21, 24), EYES[1])
    real, edited = shares(brows=raised), shares(brows=lower)
    kept = find_features(real, edited).kept
    assert kept[raised].mean() > 0.8 and kept[lower].mean() > 0.8
    assert kept[26].max() < 0.01 and kept[14].max() < 0.01


def test_of_eyes_as_open_as_the_real_ones_the_lids_are_the_edits_and_what_they_look_with_is_not() -> None:
    lower: Place = (slice(23, 32), EYES[1])
    real, edited = shares(eyes=(slice(22, 31), EYES[1])), shares(eyes=lower)
    kept = find_features(real, edited).kept
    assert kept[slice(24, 30), EYES[1]].min() > 0.5 and kept[24:30, 24:40].mean() > 0.9
    assert kept[33].max() < 0.1 and kept[20].max() < 0.1


def test_where_a_mouth_is_the_same_what_lies_beside_it_is_drawn() -> None:
    kept = features().kept
    assert kept[LIPS[0].stop, 32] < 0.5 and kept[LIPS[0].stop + 2, 32] < 0.01


def test_behind_glasses_nothing_stays() -> None:
    assert features(shares(glasses=LIPS)).kept[LIPS].max() < 0.1


def test_an_edit_that_changes_nothing_makes_nothing_lighter() -> None:
    before = np.random.default_rng(0).uniform(-1, 1, (SIZE, SIZE, 3)).astype(np.float32)
    np.testing.assert_allclose(features().gain(before, before), 1, atol=1e-5)


def test_lips_take_the_edits_colour_all_over() -> None:
    after = plain(0)
    after[LIPS] = (0.2, -0.4, -0.4)
    gain = features().gain(plain(0), after)
    np.testing.assert_allclose(gain[LIPS].reshape(-1, 3).std(0), 0, atol=1e-5)
    np.testing.assert_allclose(gain[LIPS][0, 0], (1.2, 0.6, 0.6), atol=0.05)


def test_eyes_become_lighter_but_take_no_colour() -> None:
    after = plain(0)
    after[EYES] = (0.6, 0.0, 0.0)
    np.testing.assert_allclose(features().gain(plain(0), after)[EYES], 1.2, atol=0.05)


def test_ears_go_with_the_skin() -> None:
    after = plain(0.5)
    after[EAR] = -0.5
    np.testing.assert_allclose(features().gain(plain(0), after)[EAR], 1.5, atol=0.02)


def test_skin_under_lips_that_only_the_edited_face_has_goes_with_the_skin_beside_it() -> None:
    after = plain(-0.5)
    after[LOWER] = (1.0, -1.0, -1.0)
    below = (slice(LIPS[0].stop, LOWER[0].stop), LOWER[1])
    np.testing.assert_allclose(features(shares(lips=LOWER)).gain(plain(0), after)[below], 0.5, atol=0.1)


def test_no_place_is_made_lighter_without_end() -> None:
    gain = features().gain(plain(-1), plain(1))
    assert gain.max() <= MOST_GAIN and np.isfinite(gain).all()
