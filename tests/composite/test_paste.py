from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.composite.paste import Composite, paste, warp
from rigid.face.alignment import crop
from rigid.face.landmarks import BROWS_TOP, CHIN, FOREHEAD_TOP, LEFT_EYE, RIGHT_EYE
from rigid.face.masks import eyes_mask, feather, forehead_mask, hair_mask, lips_mask, oval_mask, polygon_mask, union
from rigid.geometry import similarity
from tests.worlds import landmarks_in_crop, textured_frame

SIZE = 64
UPRIGHT = similarity(np.array([70.0, 45.0]), 64.0, 0.0, (SIZE, SIZE))


def smooth_mask(size: int = SIZE) -> NDArray[np.float32]:
    return feather(oval_mask(landmarks_in_crop(size), size))


def grey(value: float, size: int = SIZE) -> NDArray[np.float32]:
    return np.full((size, size, 3), value, np.float32)


def square_flow(dx: float, dy: float, size: int = SIZE) -> NDArray[np.float32]:
    return np.tile(np.array([dx, dy], np.float32), (size, size, 1))


def test_a_square_covers_its_area_and_less_than_a_pixel_round_it() -> None:
    square = np.array([[10.25, 12.0], [30.75, 12.0], [30.75, 40.0], [10.25, 40.0]])
    mask = polygon_mask(square, SIZE)
    assert mask[15, 20] == 1 and mask[15, 5] == 0
    assert 20.5 * 28 < mask.sum() < 22.2 * 29.7
    across = mask[15] @ (np.arange(SIZE) + 0.5) / mask[15].sum()
    assert across == pytest.approx(20.5, abs=0.05)


def test_the_oval_holds_chin_and_forehead_and_leaves_the_corners_out() -> None:
    landmarks = landmarks_in_crop(256)
    mask = oval_mask(landmarks, 256)
    top, chin = landmarks[FOREHEAD_TOP], landmarks[CHIN]
    assert mask.dtype == np.float32 and mask.min() == 0 and mask.max() == 1
    assert mask[int(chin[1]) - 2, int(chin[0])] == 1
    assert mask[int(top[1]) - 4, int(top[0])] == 1
    assert not mask[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_the_forehead_rises_along_the_faces_own_axis() -> None:
    landmarks = landmarks_in_crop(256)
    lying = (landmarks - 128) @ np.array([[0, 1], [-1, 0]], np.float32) + 128
    upright, turned = oval_mask(landmarks, 256), oval_mask(lying, 256)
    assert np.abs(np.rot90(upright, -1) - turned).mean() < 0.002


def test_a_face_beyond_the_crop_is_clipped() -> None:
    mask = oval_mask(landmarks_in_crop(SIZE) + 1000, SIZE)
    assert not mask.any()


def test_hair_reaches_above_and_beside_the_upper_face_and_not_below() -> None:
    landmarks = landmarks_in_crop(256)
    hair, oval = hair_mask(landmarks, 256), oval_mask(landmarks, 256)
    top, chin = landmarks[FOREHEAD_TOP], landmarks[CHIN]
    height, middle = chin[1] - top[1], int(top[0])
    assert hair[int(top[1] - 0.2 * height), middle] > 0.99 and hair[int(chin[1] - 0.3 * height), middle] == 0
    beside = int(np.flatnonzero(oval[int(top[1] + 0.3 * height)])[-1]) + 6
    assert hair[int(top[1] + 0.3 * height), beside] > 0.5
    assert not hair[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_hair_hangs_down_beside_the_face_and_fades() -> None:
    landmarks = landmarks_in_crop(256)
    hair, oval = hair_mask(landmarks, 256), oval_mask(landmarks, 256)
    top, chin = landmarks[FOREHEAD_TOP], landmarks[CHIN]
    beside = int(np.flatnonzero(oval.any(0))[-1]) + 6
    rows = [int(chin[1] - share * (chin[1] - top[1])) for share in (0.6, 0.35, 0.1, -0.15)]
    falling = hair[rows, beside]
    assert falling[0] > 0.9 and (np.diff(falling) < 0).all() and falling[-1] == 0


def test_the_forehead_goes_from_the_brows_to_beyond_the_hairline() -> None:
    landmarks = landmarks_in_crop(256)
    forehead, oval = forehead_mask(landmarks, 256), oval_mask(landmarks, 256)
    middle, brows = int(landmarks[FOREHEAD_TOP, 0]), float(landmarks[BROWS_TOP, 1].mean())
    rows = np.flatnonzero(forehead[:, middle] > 0.5)
    assert rows[0] < np.flatnonzero(oval[:, middle] > 0.5)[0]
    assert abs(rows[-1] - brows) < 0.1 * np.ptp(landmarks[:, 1])


def test_the_eyes_are_a_patch_round_each_that_rolls_with_the_head() -> None:
    landmarks = landmarks_in_crop(256)
    eyes = eyes_mask(landmarks, 256)
    left, right = (landmarks[eye].mean(0).round().astype(int) for eye in (LEFT_EYE, RIGHT_EYE))
    assert eyes[left[1], left[0]] == eyes[right[1], right[0]] == 1
    assert eyes[left[1] - 10, left[0]] == 1 and not eyes[left[1] + 10, left[0]].any(), "lids reach further up"
    assert not eyes[left[1], (left[0] + right[0]) // 2].any(), "the nose lies between"
    rolled = eyes_mask((landmarks - 128) @ np.array([[0, 1], [-1, 0]], np.float32) + 128, 256)
    assert np.abs(np.rot90(eyes, -1) - rolled).mean() < 0.004


def test_hair_lies_along_the_faces_own_axis() -> None:
    landmarks = 0.6 * (landmarks_in_crop(256) - 128) + 128
    lying = (landmarks - 128) @ np.array([[0, 1], [-1, 0]], np.float32) + 128
    upright, turned = hair_mask(landmarks, 256), hair_mask(lying, 256)
    assert np.abs(np.rot90(upright, -1) - turned).mean() < 0.004


def test_the_lips_grow_on_every_side() -> None:
    landmarks = landmarks_in_crop(256)
    tight, wide = lips_mask(landmarks, 256, 0.0), lips_mask(landmarks, 256, 0.2)
    assert (wide >= tight).all() and wide.sum() > 1.3 * tight.sum()


def test_warping_takes_each_pixel_from_further_on() -> None:
    x = np.tile(np.arange(SIZE, dtype=np.float32), (SIZE, 1))
    np.testing.assert_allclose(warp(x, square_flow(2.5, 0))[:, 5:50], x[:, 5:50] + 2.5, atol=0.02)


def test_a_colour_is_warped_as_it_would_be_by_itself() -> None:
    picture = np.random.default_rng(0).normal(size=(SIZE, SIZE, 3)).astype(np.float32)
    flow = square_flow(2.3, -1.6)
    alone = np.dstack([warp(np.ascontiguousarray(picture[..., i]), flow) for i in range(3)])
    assert np.abs(warp(picture, flow) - alone).max() < 1e-6


def test_the_union_covers_both_faces() -> None:
    mask = oval_mask(landmarks_in_crop(SIZE), SIZE)
    lower = warp(mask, square_flow(0, -6))
    both = union(mask, lower)
    assert (both >= mask).all() and (both >= lower).all()
    assert both.sum() > mask.sum() + 100


def test_the_feather_stays_inside_and_is_smooth() -> None:
    mask = oval_mask(landmarks_in_crop(256), 256)
    soft = feather(mask)
    assert soft.max() == 1 and soft.min() == 0
    assert not soft[cv2.dilate(mask, np.ones((5, 5))) == 0].any()
    assert np.abs(np.diff(soft, axis=0)).max() < 0.2


def test_the_feather_ends_at_the_crops_border() -> None:
    soft = feather(np.ones((SIZE, SIZE), np.float32))
    assert not soft[[0, -1]].any() and not soft[:, [0, -1]].any()
    assert soft[SIZE // 2, SIZE // 2] == 1


def test_outside_the_mask_every_bit_stays() -> None:
    frame = textured_frame()
    before = frame.copy()
    result = paste(frame, Composite.of(grey(1), smooth_mask()), UPRIGHT)
    changed = (result != frame).any(2)
    rows, columns = np.nonzero(changed)
    assert 300 < changed.sum() < frame[..., 0].size / 3
    assert columns.min() > 38 and columns.max() < 102 and rows.min() > 13 and rows.max() < 77
    np.testing.assert_array_equal(frame, before)


def test_inside_the_mask_the_crop_replaces_the_frame_with_right_rounding() -> None:
    result = paste(textured_frame(), Composite.of(grey(100.4 / 127.5 - 1), smooth_mask()), UPRIGHT)
    assert (result[45, 70] == 100).all()


@pytest.mark.parametrize("angle", [0.0, 0.6, 3.0])
@pytest.mark.parametrize("side", [30.0, 64.0, 150.0])
def test_a_crop_pasted_back_lands_where_it_came_from(angle: float, side: float) -> None:
    """Small faces are shrunk into the frame, large ones enlarged, rolled ones turned back."""
    frame = cv2.GaussianBlur(textured_frame(shape=(300, 400, 3)), (0, 0), 2.0)
    frame = cv2.resize(frame, (400, 300))
    transform = similarity(np.array([200.0, 150.0]), side, angle, (SIZE, SIZE))
    aligned = crop(frame.astype(np.uint8), transform, SIZE).astype(np.float32) / 127.5 - 1
    result = paste(frame.astype(np.uint8), Composite.of(aligned, smooth_mask()), transform)
    assert np.abs(result.astype(int) - frame).max() <= 8
    assert np.abs(result.astype(float) - frame).mean() < 0.1


def test_opacity_fades_and_zero_changes_nothing() -> None:
    frame = textured_frame()
    whole, half, none = (
        paste(frame, Composite.of(grey(1), smooth_mask()), UPRIGHT, opacity).astype(int) - frame
        for opacity in (1.0, 0.5, 0.0)
    )
    np.testing.assert_allclose(half, whole / 2, atol=1)
    assert whole.any() and not none.any()


@pytest.mark.parametrize("centre", [(0.0, 0.0), (128.0, 50.0), (60.0, 96.0), (-300.0, 40.0)])
def test_a_face_partly_or_wholly_out_of_the_frame(centre: tuple[float, float]) -> None:
    frame = textured_frame()
    result = paste(frame, Composite.of(grey(-1), smooth_mask()), similarity(np.array(centre), 64.0, 0.3, (SIZE, SIZE)))
    assert result.shape == frame.shape
    assert (result != frame).any() == (centre[0] >= 0)


def test_an_empty_mask_changes_nothing() -> None:
    frame = textured_frame()
    np.testing.assert_array_equal(
        paste(frame, Composite.of(grey(1), np.zeros((SIZE, SIZE), np.float32)), UPRIGHT), frame
    )


def test_what_is_added_without_a_weight_reaches_the_frame() -> None:
    frame = np.full((96, 96, 3), 100, np.uint8)
    layers = np.zeros((64, 64, 4), np.float32)
    layers[20:40, 20:40, :3] = 20 / 127.5
    shown = paste(frame, Composite(layers), np.array([[1.0, 0, -8], [0, 1.0, -8]]))
    np.testing.assert_array_equal(shown[30:46, 30:46], 120)
    assert (shown[:26] == 100).all() and (shown[50:] == 100).all()


@pytest.mark.parametrize("side", [40.0, 64.0, 90.0])
def test_where_nothing_is_drawn_or_moves_not_one_bit_changes(side: float) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    still = square_flow(0, 0)
    transform = similarity(np.array([70.0, 45.0]), side, 0.4, (SIZE, SIZE))
    for motion in (None, still):
        composite = replace(Composite.of(grey(0.4), 0 * smooth_mask()), motion=motion)
        np.testing.assert_array_equal(paste(frame, composite, transform), frame)


@pytest.mark.parametrize(("opacity", "moved"), [(1.0, 2), (0.5, 1)])
def test_moved_real_pixels_come_from_where_the_motion_points(opacity: float, moved: int) -> None:
    """A motion in a rolled crop at twice the frame's scale becomes the frame's own, less where the edit fades."""
    y, x = np.mgrid[:96, :128]
    frame = np.stack([x, y, x + y], -1).astype(np.uint8)
    transform = similarity(np.array([64.0, 48.0]), 32.0, np.pi / 2, (SIZE, SIZE))
    composite = replace(Composite.of(grey(0), 0 * smooth_mask()), motion=square_flow(4, 0))
    result = paste(frame, composite, transform, opacity)
    # The crop's x axis points down the frame, and four of its pixels are two of the frame's.
    np.testing.assert_array_equal(result[48, 64].astype(int) - frame[48, 64], [0, moved, moved])


@pytest.mark.parametrize("motion", [None, square_flow(1.5, -0.5)], ids=["still", "moving"])
def test_pasting_agrees_with_the_blend_in_the_crop(motion: Array | None) -> None:
    frame = cv2.GaussianBlur(textured_frame(), (0, 0), 1.0).astype(np.uint8)
    inputs = crop(frame, UPRIGHT, SIZE).astype(np.float32) / 127.5 - 1
    composite = replace(Composite.of(grey(0.3), 0.6 * smooth_mask()), motion=motion)
    shown = crop(paste(frame, composite, UPRIGHT), UPRIGHT, SIZE)
    inside = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(shown[inside], ((composite.over(inputs) + 1) * 127.5)[inside], atol=2.0)


def test_what_is_drawn_over_another_hides_it_as_far_as_it_is_there() -> None:
    inputs, half = grey(-0.2), np.full((SIZE, SIZE), 0.5, np.float32)
    below, top = Composite.of(grey(0.8), half), Composite.of(grey(0.4), half)
    twice = top.over(below.over(inputs))
    np.testing.assert_allclose(below.below(top).over(inputs), twice, atol=1e-6)
