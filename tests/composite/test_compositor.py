from __future__ import annotations

from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest

from rigid.arrays import Array
from rigid.composite.compositor import (
    CompositeKind,
    Faces,
    change_layer,
    compose,
    find_spread_difference,
    how_changed,
)
from rigid.composite.edit_masks import FaceMasks, masks_by_landmarks
from rigid.composite.kept_features import SEEN, find_features
from rigid.composite.paste import repeat_for_colours
from rigid.edits.attribute_header import FEATURES
from rigid.edits.edit_effect import FACE_ONLY, EditEffect
from rigid.face.masks import eyes_mask, oval_mask
from rigid.geometry import Points
from tests.worlds import landmarks_in_crop

SIZE = 256
LANDMARKS = landmarks_in_crop(SIZE)
FACE = oval_mask(LANDMARKS, SIZE)
CENTRE = (slice(100, 156), slice(100, 156))


NOTHING = dict.fromkeys(FEATURES, 0.0)


def texture(seed: int, coarse: int = 16) -> Array:
    """Smooth random colour in about [-0.6, 0.6]."""
    noise = np.random.default_rng(seed).uniform(-1, 1, (SIZE // coarse, SIZE // coarse, 3)).astype(np.float32)
    return 0.6 * cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).clip(-1, 1).astype(np.float32)


def details(seed: int = 9) -> Array:
    """What a real face has and the generator leaves out: fine grain."""
    grain = np.random.default_rng(seed).normal(0, 0.05, (SIZE, SIZE, 3)).astype(np.float32)
    return cv2.GaussianBlur(grain, (0, 0), 1.0) * 2  # type: ignore[return-value]


def spot(picture: Array, value: float) -> Array:
    """`picture` with a bright or dark mouth."""
    changed = picture.copy()
    cv2.ellipse(changed, (128, 166), (24, 10), 0, 0, 360, (value, value, value), -1, cv2.LINE_AA)
    return changed


def composed(
    inputs: Array, inverted: Array, edited: Array, effect: EditEffect = FACE_ONLY, masks: FaceMasks | None = None
) -> Array:
    faces = Faces(inputs, inverted, edited)
    masks = masks or masks_by_landmarks(LANDMARKS, SIZE)
    return compose("change", faces, masks, effect, LANDMARKS).over(inputs)


def test_without_an_edit_the_real_face_stays_to_the_bit() -> None:
    inputs, inverted = texture(0) + details(), texture(1)
    np.testing.assert_array_equal(composed(inputs, inverted, inverted.copy()), inputs)


def test_a_vanishing_edit_vanishes_without_a_jump() -> None:
    inputs, inverted = texture(0) + details(), texture(1)
    edited = inverted + np.float32(0.004) * texture(2)
    assert np.abs(composed(inputs, inverted, edited) - inputs).max() < 0.01


def test_what_the_edit_draws_is_shown_as_drawn_and_the_rest_stays_real() -> None:
    """I's mouth is closed and dark, O's open and bright, E's another one: no half of each."""
    skin = texture(4, 64) * 0.3
    inputs, inverted, edited = (spot(skin, value) for value in (-0.6, 0.2, 0.6))
    inputs = inputs + details()
    result = composed(inputs, inverted, edited)
    teeth = (slice(161, 171), slice(114, 142))
    assert (result - edited)[teeth].std() < 0.06, "E but for its colour"
    far = (slice(70, 120), slice(80, 176))
    np.testing.assert_allclose(result[far], inputs[far], atol=1e-4)


def test_the_edited_face_takes_the_real_ones_light() -> None:
    tint = np.array([0.2, 0.05, -0.1], np.float32)
    inverted = texture(5, 64) * 0.3
    edited = inverted + np.float32(0.5) * repeat_for_colours(FACE)
    result = composed(inverted + tint, inverted, edited)
    np.testing.assert_allclose(result[CENTRE], (edited + tint)[CENTRE], atol=0.01)


def test_the_share_of_the_edited_face_grows_with_the_change() -> None:
    """1 - exp(-(d / (τ + e))²), as the formula says, where all of a picture changed alike."""
    before = np.zeros((64, 64, 3), np.float32)
    for change, error, expected in (
        (0.0, 0.0, 0.0),
        (0.055, 0.0, 1 - np.exp(-0.25)),
        (0.11, 0.0, 1 - np.exp(-1.0)),
        (0.11, 0.11, 1 - np.exp(-0.25)),
        (0.5, 0.0, 1.0),
    ):
        differences = (find_spread_difference(before, before - np.float32(size)) for size in (change, error))
        np.testing.assert_allclose(how_changed(*differences), expected, atol=1e-5)


def test_a_mouth_that_was_inverted_wrongly_stays_real_under_an_edit_that_hardly_changes_it() -> None:
    """I speaks, O is shut and a little darker in E, as with age."""
    skin = texture(4, 64) * 0.3
    inputs, inverted = spot(skin, -0.8), spot(skin, 0.1)
    edited = spot(inverted, 0.0)
    place = (slice(162, 170), slice(114, 142))
    result = composed(inputs, inverted, edited)
    assert np.abs(result - inputs)[place].mean() < 0.1
    drawn = composed(inputs, inverted, spot(skin, 0.9))
    assert np.abs(drawn - inputs)[place].mean() > 0.8, "another mouth is shown"


def test_another_mouth_that_is_drawn_anew_is_shown_in_full_and_another_persons_eyes_are_not() -> None:
    faces = Faces(texture(0), texture(1), texture(1) + np.float32(0.05))
    anew = np.zeros((32, 32), np.float32)
    anew[20:26, 12:20] = 1
    place, mouth = (slice(168, 200), slice(104, 152)), dict.fromkeys(FEATURES, 0.0) | {"mouth": 1.0}
    opened, aged = (EditEffect(changes=one, redrawn=anew).expressed for one in (mouth, dict.fromkeys(FEATURES, 0.0)))
    assert change_layer(faces, faces.edited, FACE, drawn=opened).weight[place].min() > 0.99
    assert aged is None and change_layer(faces, faces.edited, FACE).weight[place].max() < 0.2


def test_the_share_agrees_with_the_formula_at_every_place() -> None:
    faces = Faces(texture(0), texture(1), texture(1) + 0.2 * spot(np.zeros((SIZE, SIZE, 3), np.float32), 1.0))
    layer = change_layer(faces, faces.edited, FACE)
    real, before, after = (
        cv2.resize(one, (64, 64), interpolation=cv2.INTER_AREA) for one in (faces.real, faces.inverted, faces.edited)
    )
    error = real - before - cv2.GaussianBlur(real - before, (0, 0), 3.0, borderType=cv2.BORDER_REFLECT)
    d, e = (
        cv2.GaussianBlur(
            cv2.dilate(np.abs(one).max(2), np.ones((3, 3), np.uint8)), (0, 0), 1.0, borderType=cv2.BORDER_REFLECT
        )
        for one in (after - before, error)
    )
    expected = FACE * cv2.resize(1 - np.exp(-((d / (0.11 + e)) ** 2)), (SIZE, SIZE))
    np.testing.assert_allclose(layer.weight, expected, atol=1e-5)


@pytest.mark.parametrize("kind", get_args(CompositeKind))
def test_outside_the_mask_every_pixel_stays(kind: CompositeKind) -> None:
    inputs, inverted = texture(0), texture(1)
    masks = masks_by_landmarks(LANDMARKS, SIZE)
    composite = compose(kind, Faces(inputs, inverted, inverted + np.float32(0.3)), masks, FACE_ONLY, LANDMARKS)
    outside = masks.face == 0
    assert outside.mean() > 0.4
    np.testing.assert_array_equal(composite.over(inputs)[outside], inputs[outside])


def test_paper_pastes_the_edited_face() -> None:
    inputs, inverted, edited = texture(0), texture(1), texture(2)
    masks = masks_by_landmarks(LANDMARKS, SIZE)
    composite = compose("paper", Faces(inputs, inverted, edited), masks, FACE_ONLY, LANDMARKS)
    np.testing.assert_allclose(composite.over(inputs)[CENTRE], edited[CENTRE], atol=1e-6)


def halves() -> FaceMasks:
    """The face in the left half, hair in the right one."""
    left = np.zeros((SIZE, SIZE), np.float32)
    left[:, : SIZE // 2] = 1
    return FaceMasks(left, 1 - left, np.ones_like(left))


LEFT, RIGHT = (slice(60, 200), slice(20, 100)), (slice(60, 200), slice(156, 236))


def test_an_edit_of_the_hair_leaves_the_face_real() -> None:
    inputs, inverted = texture(0) + details(), texture(0)
    edited = inverted + np.float32(0.5)
    result = composed(inputs, inverted, edited, EditEffect(hair=1.0, shares={}), halves())
    np.testing.assert_array_equal(result[LEFT], inputs[LEFT])
    np.testing.assert_allclose(result[RIGHT], edited[RIGHT], atol=0.03)


def test_a_face_beside_edited_hair_is_the_one_made_without_it() -> None:
    """An edit of the hair pales generated skin as well."""
    inputs = inverted = texture(0)
    bare, edited = inverted + np.float32(0.3), inverted + np.float32(0.6)
    faces = Faces(inputs, inverted, edited, bare)
    composite = compose("change", faces, halves(), EditEffect(hair=1.0), LANDMARKS)
    result = composite.over(inputs)
    np.testing.assert_allclose(result[LEFT], bare[LEFT], atol=0.01)
    np.testing.assert_allclose(result[RIGHT], edited[RIGHT], atol=0.01)


def test_half_an_edit_of_the_hair_shows_half() -> None:
    inputs = inverted = texture(0)
    whole, half = (
        composed(inputs, inverted, inverted + np.float32(0.6), EditEffect(hair=hair, shares={}), halves()) - inputs
        for hair in (1.0, 0.5)
    )
    np.testing.assert_allclose(half[RIGHT], whole[RIGHT] / 2, atol=1e-3)


def test_what_lies_before_the_face_stays_to_the_bit() -> None:
    inputs, inverted = texture(0) + details(), texture(1)
    masks = masks_by_landmarks(LANDMARKS, SIZE)
    free = np.ones((SIZE, SIZE), np.float32)
    hand = (slice(140, 220), slice(60, 140))
    free[hand] = 0
    shown = composed(inputs, inverted, inverted + np.float32(0.5), masks=FaceMasks(masks.face, masks.hair, free))
    np.testing.assert_array_equal(shown[hand], inputs[hand])
    assert np.abs(shown - inputs)[CENTRE].max() > 0.3


def test_what_lies_before_the_face_is_not_moved() -> None:
    inputs = texture(0)
    masks = masks_by_landmarks(LANDMARKS, SIZE)
    free = np.ones((SIZE, SIZE), np.float32)
    hand = (slice(140, 220), slice(60, 140))
    free[hand] = 0
    effect = EditEffect(shares={}, motion=np.full_like(LANDMARKS, 6 / SIZE))
    faces = Faces(inputs, inputs, inputs)
    held, moved = (
        compose("change", faces, FaceMasks(masks.face, masks.hair, mask), effect, LANDMARKS).over(inputs)
        for mask in (free, np.ones_like(free))
    )
    np.testing.assert_allclose(held[hand], inputs[hand], atol=1e-6)
    assert np.abs(moved - inputs)[hand].max() > 0.05


def featured(place: tuple[slice, slice]) -> FaceMasks:
    """A face whose lips, of I and E, lie at `place` of a map of 64 × 64."""
    shares = {name: np.zeros((64, 64), np.float32) for name in SEEN}
    shares["lips"][place] = 1
    shares["skin"][16:58, 14:50] = 1 - shares["lips"][16:58, 14:50]
    return replace(masks_by_landmarks(LANDMARKS, SIZE), features=find_features(shares, shares))


LIPS = (slice(39, 45), slice(26, 38))
MOUTH = (slice(160, 172), slice(112, 144))
"""Within `LIPS`, in pixels."""


def test_an_edit_that_is_not_of_the_expression_leaves_the_mouth_its_detail() -> None:
    inverted = texture(0) * np.float32(0.3)
    inputs, edited = inverted + details(), inverted + np.float32(0.3)
    older = composed(inputs, inverted, edited, EditEffect(changes=NOTHING), featured(LIPS))
    smiling = composed(inputs, inverted, edited, EditEffect(), featured(LIPS))
    fine = (inputs - cv2.GaussianBlur(inputs, (0, 0), 3))[MOUTH].ravel()
    kept, gone = (
        np.corrcoef(fine, (y - cv2.GaussianBlur(y, (0, 0), 3))[MOUTH].ravel())[0, 1] for y in (older, smiling)
    )
    assert kept > 0.95 > 0.5 > gone
    assert 0.1 < (older - inputs)[MOUTH].mean() < 0.5, "as much lighter as the edit makes it"


def test_an_edit_of_the_lips_leaves_the_rest_to_the_bit() -> None:
    inputs, inverted = texture(0) + details(), texture(1)
    effect = EditEffect(changes=NOTHING, shares={"lips": 1.0})
    result = composed(inputs, inverted, inverted + np.float32(0.3), effect, featured(LIPS))
    beyond = np.ones((SIZE, SIZE), bool)
    beyond[150:186, 98:158] = False
    np.testing.assert_array_equal(result[beyond], inputs[beyond])
    assert np.abs(result - inputs)[MOUTH].mean() > 0.1


def test_an_edit_of_the_eyes_acts_round_them_alone() -> None:
    inputs, inverted = texture(0) + details(), texture(1)
    change = np.abs(composed(inputs, inverted, inverted + np.float32(0.3), EditEffect(shares={"eyes": 1.0})) - inputs)
    eyes = eyes_mask(LANDMARKS, SIZE) > 0
    assert change[cv2.erode(eyes.view(np.uint8), np.ones((9, 9), np.uint8)) > 0].mean() > 0.05
    assert change[cv2.dilate(eyes.view(np.uint8), np.ones((31, 31), np.uint8)) == 0].max() == 0


def test_an_edit_that_draws_nothing_is_no_change() -> None:
    inputs = texture(0)
    np.testing.assert_array_equal(composed(inputs, inputs, texture(1), EditEffect(hair=0.0, shares={})), inputs)


@pytest.mark.parametrize("kind", get_args(CompositeKind))
@pytest.mark.parametrize("size", [64, 256])
def test_composites_of_any_size_are_finite(kind: CompositeKind, size: int) -> None:
    landmarks: Points = landmarks_in_crop(size)
    inputs, inverted = (np.asarray(cv2.resize(texture(i), (size, size)), np.float32) for i in range(2))
    faces = Faces(inputs, inverted, inverted + np.float32(0.2))
    composite = compose(kind, faces, masks_by_landmarks(landmarks, size), FACE_ONLY, landmarks)
    assert composite.weight.shape == (size, size) and 0 < composite.weight.max() <= 1
    assert composite.drawn.dtype == np.float32 and np.isfinite(composite.over(inputs)).all()
