"""What edits do to one frame: how long each is made, where it shows, what it moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigid.edits.attribute import Attribute
from rigid.edits.edit_effect import EditEffect, effect_of

CODES = np.zeros((1, 2, 3), np.float32)
HELD_BACK = 1.5


def attribute(name: str, fill: float = 1.0) -> Attribute:
    direction = np.full((2, 3), fill, np.float32)
    return Attribute(name, name.title(), "expression", -1.0, 1.0, 0.0, "", "made by hand", direction)


SMILE, AGE = attribute("smile", 0.25), attribute("age")
DARK = replace(attribute("hair_dark", 0.5), region="hair")
LIPS = replace(attribute("lipstick"), group="make-up", region="lips", changes=())
OLD = replace(attribute("old"), group="age", changes=())
MOTION = np.zeros((2, 478, 2), np.float32)
MOTION[0], MOTION[1, :, 0] = 1.0, -3.0
JAW = replace(attribute("jaw"), video_gain=0.0, motion=MOTION, motion_gain=0.5)
NOSE = replace(attribute("nose"), motion=2 * MOTION, motion_gain=1.0)


def effect(*strengths: tuple[Attribute, float], gain: float = 1.0) -> EditEffect:
    return effect_of(strengths, gain=gain)


def added(found: EditEffect) -> list[float]:
    """What each edited picture has added to its codes, all of them alike."""
    offsets = [offset(CODES) for offset in found.offsets]
    assert all(offset.dtype == np.float32 and (offset == offset[0, 0]).all() for offset in offsets)
    return [float(offset[0, 0]) for offset in offsets]


def test_edits_are_meant_for_the_hair_or_for_the_face() -> None:
    assert effect((SMILE, 1.0)).hair == effect().hair == 0
    assert effect((DARK, -0.05), (SMILE, 1.0)).hair == 0.5
    assert effect((DARK, -0.4)).hair == effect((DARK, 2.0)).hair == 1
    assert effect((DARK, 1.0)).face == effect().face == 0
    assert effect((DARK, 1.0), (SMILE, 0.05)).face == 0.5
    assert effect((SMILE, -0.3)).face == 1


def test_an_edit_of_the_lips_is_shown_there_alone_unless_others_are_meant_for_the_face() -> None:
    assert effect((LIPS, 1.0)).face == 1 and effect((LIPS, 1.0)).shares == {"lips": 1}
    assert effect((LIPS, 1.0), (DARK, 1.0)).shares == {"lips": 1}
    assert effect((LIPS, 1.0), (SMILE, 0.05)).shares == {"lips": 1, "face": 0.5}
    assert effect((SMILE, 1.0)).shares == {"face": 1}


def test_only_some_edits_are_meant_to_change_the_expression() -> None:
    assert set(effect((SMILE, 1.0)).changes.values()) == {1}
    assert set(effect((LIPS, 1.0), (OLD, -1.0)).changes.values()) == {0}
    assert set(effect((OLD, 1.0), (SMILE, 0.05)).changes.values()) == {0.5}
    assert [effect((one, 1.0)).needs_features for one in (SMILE, DARK, LIPS, OLD)] == [False, False, True, True]
    brows = replace(OLD, changes=("brows",))
    assert effect((brows, 1.0), (SMILE, 0.05)).changes == {"mouth": 0.5, "lids": 0.5, "eyes": 0.5, "brows": 1}


def test_hair_and_face_are_edited_in_two_pictures_of_which_one_is_without_the_hair() -> None:
    assert added(effect((DARK, 1.0), (SMILE, 0.5))) == [0.625, 0.125]
    assert added(effect((DARK, 1.0))) == [0.5] and added(effect((SMILE, 0.5))) == [0.125]


def test_hair_is_shown_over_the_face_where_that_is_drawn_anew() -> None:
    redrawn = np.array([[0.0, 1.0], [0.5, 0.0]], np.float32)
    assert effect((DARK, 1.0)).fringe is None
    assert replace(effect((SMILE, 1.0)), redrawn=redrawn).fringe is None
    half = replace(effect((DARK, 0.05)), redrawn=redrawn).fringe
    assert half is not None and np.array_equal(half, redrawn / 2)


def test_a_stream_makes_each_edit_as_long_as_video_needs_and_others_as_it_is() -> None:
    longer = replace(SMILE, video_gain=2.0)
    assert added(effect((longer, -0.5), (AGE, 1.0), gain=HELD_BACK)) == [1.5 * 0.75]
    assert added(effect((longer, -0.5), (AGE, 1.0))) == [0.875]


def test_edits_that_only_move_landmarks_are_not_generated() -> None:
    assert effect((JAW, 1.0), gain=HELD_BACK).offsets == ()
    assert added(effect((JAW, 1.0), (SMILE, 1.0), gain=HELD_BACK)) == [0.375]
    beside_hair = effect((JAW, 1.0), (DARK, 1.0), gain=HELD_BACK)
    assert added(beside_hair) == [0.75] and beside_hair.face == 0


def test_edits_fade_in_gently_and_whole() -> None:
    strengths = [effect_of([(SMILE, 0.8)], level).edits["smile"] for level in (0.0, 0.25, 0.5, 1.0)]
    assert strengths == pytest.approx([0, 0.125, 0.4, 0.8]) and strengths[-1] == 0.8


@pytest.mark.parametrize("edits", [[], [(JAW, 0.0)]])
def test_edits_that_have_come_to_nothing_are_still_generated_as_they_fade(edits: list[tuple[Attribute, float]]) -> None:
    assert added(effect(*edits, gain=HELD_BACK)) == [0]


def test_motions_of_landmarks_add_up_each_way_by_itself() -> None:
    unmoved = replace(SMILE, motion=MOTION)
    assert effect((AGE, 1.0), (unmoved, 1.0), (JAW, 0.0), gain=HELD_BACK).motion is None
    moved = effect((JAW, 0.5), (NOSE, -1.0), (unmoved, 1.0), gain=HELD_BACK).motion
    assert moved is not None
    np.testing.assert_allclose(moved, np.tile([0.25 - 6, 0.25], (478, 1)))
    back_alone = replace(NOSE, motion=MOTION * np.array([0, 1], np.float32)[:, None, None])
    assert effect((back_alone, 1.0), gain=HELD_BACK).motion is None, "nothing is moved by nothing"


def test_where_nothing_holds_edits_back_none_moves_landmarks() -> None:
    found = effect((JAW, 1.0))
    assert found.motion is None and added(found) == [1]
