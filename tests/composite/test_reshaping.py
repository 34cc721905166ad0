"""Real pixels moved by a face's landmarks, on pictures whose pixels say where they were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.composite.compositor import CompositeKind, Faces, compose
from rigid.composite.edit_masks import masks_by_landmarks
from rigid.composite.paste import Composite, warp
from rigid.composite.reshaping import PLACES, STEEPEST, motion_field
from rigid.edits.attribute import Attribute
from rigid.edits.edit_effect import EditEffect
from rigid.edits.library import AttributeLibrary
from rigid.face.masks import oval_mask
from rigid.geometry import Points
from rigid.stream.face_stream import FaceStream
from tests.fakes import TINY, FakeRuntime
from tests.worlds import FixedTracker, landmarks_in_crop, textured_frame

SIZE = 256
LANDMARKS = landmarks_in_crop(SIZE)


def dense_face() -> Points:
    """(400, 2) points all over the middle of a crop, as close as a landmarker's."""
    side = np.linspace(0.3, 0.7, 20) * SIZE
    points: Points = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2).astype(np.float32)
    return points


def places(unit: float = 1.0) -> Array:
    """A picture whose first two channels say where each pixel is, in units of `unit` pixels."""
    y, x = (np.mgrid[:SIZE, :SIZE].astype(np.float32) + np.float32(0.5)) / np.float32(unit)
    picture: Array = np.dstack((x, y, np.zeros_like(x))).astype(np.float32)
    return picture


def shown_at(picture: Array, points: Points) -> NDArray[np.float32]:
    """What `picture` shows at `points` (N, 2)."""
    columns, rows = np.rint(points - 0.5).astype(int).T
    return picture[rows, columns, :2]


def swelling(points: Points) -> Points:
    """Away from the middle: by nothing there, by 6 pixels at a distance of 50."""
    motion: Points = (0.12 * (points - SIZE / 2)).astype(np.float32)
    return motion


def test_landmarks_come_to_lie_where_they_are_moved_to() -> None:
    points = dense_face()
    motion = swelling(points)
    moved = warp(places(), motion_field(points, motion, SIZE))
    error = np.linalg.norm(shown_at(moved, points + motion) - points, axis=1)
    assert np.median(error) < 0.6 and error.max() < 2.0


def test_what_lies_far_from_the_face_stays() -> None:
    field = motion_field(dense_face(), np.full((400, 2), 5, np.float32), SIZE)
    assert np.abs(field[128, 128] + 5).max() < 0.3, "the field points to where a pixel comes from"
    assert max(np.abs(field[:2]).max(), np.abs(field[:, -2:]).max()) < 1e-3
    assert np.hypot(*field[20, 20]) < 0.5


def test_the_picture_never_folds() -> None:
    points = dense_face()
    field = motion_field(points, -6 * swelling(points), SIZE)
    steepest = max(float(-np.diff(field[..., axis], axis=1 - axis).min()) for axis in (0, 1))
    assert STEEPEST < steepest < 1, "interpolation overshoots, but pixels keep their order"


def test_a_field_is_as_smooth_for_a_small_crop_as_for_a_large_one() -> None:
    points = dense_face()
    large = motion_field(points, swelling(points), SIZE)
    small = motion_field(points / 4, swelling(points) / 4, PLACES)
    np.testing.assert_allclose(small, large[2::4, 2::4] / 4, atol=0.05)


def test_the_real_face_is_moved_with_what_lies_round_it() -> None:
    inputs = places(SIZE)
    points = dense_face()
    field = motion_field(points, swelling(points), SIZE)
    nothing = Composite.of(inputs, np.zeros((SIZE, SIZE), np.float32))
    shown = replace(nothing, motion=field).over(inputs)
    moving = np.hypot(field[..., 0], field[..., 1]) > 0.2
    assert moving[~(oval_mask(LANDMARKS, SIZE) > 0)].sum() > 1000
    np.testing.assert_allclose(shown[moving], warp(inputs, field)[moving], atol=1e-5)


@pytest.mark.parametrize("kind", get_args(CompositeKind))
def test_a_composite_moves_what_the_reach_asks_for(kind: CompositeKind) -> None:
    inputs = places(SIZE)
    motion = np.zeros_like(LANDMARKS)
    motion[:, 0] = 5 / SIZE
    masks = masks_by_landmarks(LANDMARKS, SIZE)
    still, moved = (
        compose(kind, Faces(inputs, inputs, inputs), masks, EditEffect(motion=one), LANDMARKS).over(inputs)
        for one in (None, motion)
    )
    np.testing.assert_allclose(still, inputs, atol=1e-6)
    # 5 pixels to the right: the middle shows what lay left of it
    assert (moved - inputs)[128, 128, 0] * SIZE == pytest.approx(-5, abs=0.5)


def widen() -> AttributeLibrary:
    """Brightens by `light`; moves all landmarks to the right by a tenth of `wide`, of which the codes know nothing."""
    motion, shape = np.zeros((2, 478, 2), np.float32), (TINY.n_codes, TINY.code_size)
    motion[..., 0] = [[0.1], [-0.1]]
    made: dict[str, Any] = {"group": "shape", "min": -1.0, "max": 1.0, "default": 0.0, "unit": "", "source": "by hand"}
    light = Attribute("light", "Light", direction=np.full(shape, 0.5, np.float32), **made)
    still = np.zeros(shape, np.float32)
    wide = Attribute("wide", "Wide", direction=still, video_gain=0.0, motion=motion, motion_gain=1.0, **made)
    return AttributeLibrary([light, wide], n_codes=TINY.n_codes, code_size=TINY.code_size)


HELD_BACK = replace(TINY, edit_gain=1.5)


def test_an_edit_that_only_moves_landmarks_leaves_the_networks_at_rest() -> None:
    runtime = FakeRuntime(HELD_BACK)
    stream = FaceStream(runtime, FixedTracker(), widen())
    frame = textured_frame()
    result = stream.step(frame, {"wide": 1.0}, 0.0)
    assert result.edited and result.error is None and not runtime.batches
    changed = (result.frame != frame).any(2)
    assert changed.sum() > 300
    assert not changed[:10].any() and not changed[:, -10:].any()
    both = stream.step(frame, {"wide": 1.0, "light": 1.0}, 0.04)
    assert both.edited and both.error is None and runtime.batches
    assert both.frame.astype(int).mean() > result.frame.mean() + 2
    again = stream.step(frame, {"wide": 1.0}, 0.08)
    stream.close()
    assert np.array_equal(again.frame, result.frame), "nothing generated is left"


def test_a_profile_that_does_not_hold_edits_back_moves_no_landmarks() -> None:
    stream = FaceStream(FakeRuntime(), FixedTracker(), widen())
    frame = textured_frame()
    result = stream.step(frame, {"wide": 1.0}, 0.0)
    stream.close()
    assert np.array_equal(result.frame, frame)
