"""A painted edit takes the colour of the paint where it lies, and leaves what lies beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from rigid.arrays import Array
from rigid.discovery.calibrate import Faces
from rigid.discovery.descent import Descent
from rigid.discovery.painted import PAINTS, Paint, find_painted, mask_cheeks, mask_hair, mask_skin
from rigid.discovery.regions import CHEEKS, bytes_of, lab_of
from rigid.models.contract import CLASSES
from tests.worlds import landmarks_in_crop

SIZE, N_CODES, CODE_SIZE = 64, 7, 6
LEFT_RED, RIGHT_RED, LEFT_LIGHT = range(3)
"""What the entries of level 1's codes draw more of."""
LEFT = np.zeros((SIZE, SIZE), np.float32)
LEFT[24:40, 20:32] = 1


def draw(codes: Tensor, chosen: Sequence[int]) -> Tensor:
    """Grey pictures (B, 3, S, S) of `codes` (B, 7, 6), reddish or lighter in places."""
    assert len(codes) == len(chosen)
    left, right = torch.from_numpy(LEFT), torch.from_numpy(LEFT[:, ::-1].copy())
    amounts = 0.2 * codes[:, 1, :3].float()
    red = torch.einsum("bk,khw->bhw", amounts[:, :2], torch.stack((left, right)))
    light = amounts[:, LEFT_LIGHT, None, None] * left
    return torch.stack((red + light, light - red, light - red), 1)


def faces() -> Faces:
    codes = np.zeros((6, N_CODES, CODE_SIZE), np.float32)
    codes[:, 1, :3] = 0.1 * np.arange(6)[:, None]
    images = ((draw(torch.from_numpy(codes), range(6)).permute(0, 2, 3, 1).numpy() + 1) * 127.5).astype(np.uint8)
    seen = {"landmarks": np.repeat(landmarks_in_crop(SIZE)[None], 6, 0)}
    return Faces(codes, images, seen, np.ones((6, 1), np.float32))


def find(paint: Paint) -> Array:
    descent = Descent(draw, (1,), np.eye(CODE_SIZE, dtype=np.float32), 40, 0.05)
    return find_painted(descent, faces(), np.zeros((6, len(CLASSES), 16, 16), np.float32), paint)


def test_the_edit_is_as_red_as_the_paint_where_that_lies_and_nowhere_else() -> None:
    edit = find(Paint((0.0, 20.0, 0.0), lambda landmarks, parts, size: LEFT))
    assert edit.shape == (N_CODES, CODE_SIZE) and not edit[[0, 3, 4, 5, 6]].any()
    assert edit[1, LEFT_RED] > 0.3
    assert abs(edit[1, RIGHT_RED]) < 0.2 * edit[1, LEFT_RED]
    assert abs(edit[1, LEFT_LIGHT]) < edit[1, LEFT_RED], "red more than lighter"


def test_paint_shifts_the_colour_by_how_thick_it_lies() -> None:
    grey = np.full((1, 8, 8, 3), 128, np.uint8)
    thick = np.zeros((1, 8, 8), np.float32)
    thick[0, :4], thick[0, 4:6] = 1, 0.5
    shifted = lab_of(Paint((-10.0, 20.0, 0.0), mask_skin).on(grey, thick)[0]) - lab_of(grey[0])
    for rows, share in ((slice(4), 1.0), (slice(4, 6), 0.5), (slice(6, 8), 0.0)):
        np.testing.assert_allclose(shifted[rows].mean((0, 1)), share * np.array([-10, 20, 0]), atol=1.2)


def test_colours_are_written_as_they_are_read() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    assert np.abs(bytes_of(lab_of(picture)).astype(int) - picture).mean() < 2


def test_paint_lies_on_the_part_that_it_is_for() -> None:
    landmarks = np.full((478, 2), SIZE / 2, np.float32)
    for cheek, x in zip(CHEEKS, (20, 44), strict=True):
        landmarks[list(cheek)] = x, 36
    landmarks[[234, 454]] = (10, 32), (54, 32)
    parts = np.zeros((len(CLASSES), 16, 16), np.float32)
    parts[CLASSES.index("ears"), :, :8], parts[CLASSES.index("hair"), :, 8:] = 1, 1
    cheeks, hair, skin = (where(landmarks, parts, SIZE) for where in (mask_cheeks, mask_hair, mask_skin))
    assert cheeks[36, 20] == pytest.approx(1, abs=0.01) == cheeks[36, 44] and cheeks[36, 32] < 0.6
    assert skin[32, 8] == 1 == hair[32, 56] and skin[32, 56] == 0 == hair[32, 8]
    assert set(PAINTS) == {"hair_dark", "skin_tone", "rosy_cheeks"}
