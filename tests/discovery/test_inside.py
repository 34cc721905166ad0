"""An edit found by descent changes what the critic is shown, and leaves what stays real, or where parts are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rigid.arrays import Array
from rigid.composite.kept_features import KEPT
from rigid.discovery.descent import Descent
from rigid.discovery.inside import Critics, find_inside
from rigid.discovery.shots import Shots
from rigid.face.masks import oval_mask
from rigid.models.contract import CLASSES
from tests.worlds import landmarks_in_crop

SIZE, SMALL, N_CODES, CODE_SIZE, COUNT = 64, 16, 7, 6, 6
BEARD, HAIR, TEETH, EYES = range(4)
"""The entries of level 1's codes that darken the lower face and lighten the upper, and darken what lies round it, the
mouth, and the eyes."""


def areas() -> Tensor:
    """How much each darkens a place, (4, S, S)."""
    face = torch.from_numpy(oval_mask(landmarks_in_crop(SIZE), SIZE))
    mouth, eyes = torch.zeros(SIZE, SIZE), torch.zeros(SIZE, SIZE)
    mouth[40:48, 24:40] = 1
    eyes[24:28, 16:48] = 1
    skin = (face - mouth - eyes).clamp_min(0)
    upper, lower = skin.clone(), skin.clone()
    upper[32:] = lower[:32] = 0
    return torch.stack((lower - upper * lower.sum() / upper.sum(), 1 - face, mouth, eyes))


def draw(codes: Tensor, chosen: list[int]) -> Tensor:
    """Grey pictures (B, 3, S, S) of `codes` (B, 7, 6)."""
    assert len(codes) == len(chosen)
    dark = torch.einsum("bk,khw->bhw", codes[:, 1, :4].float(), areas())
    return (-0.2 * dark)[:, None].repeat(1, 3, 1, 1)


def judge(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Faces that are darker below than above are male, whatever makes them so; all are of one age."""
    light = faces.mean((1, 3)) / 127.5
    half = light.shape[1] // 2
    return torch.full((len(faces),), 30.0), 5 * (light[:, :half].mean(1) - light[:, half:].mean(1))


def express(faces: Tensor) -> Tensor:
    """Nothing to be seen."""
    return torch.zeros(len(faces), 7)


def parse(pictures: Tensor) -> Tensor:
    """Eyes are where they are dark."""
    parts = torch.zeros(len(pictures), len(CLASSES), SMALL, SMALL)
    eyes = torch.nn.functional.avg_pool2d(areas()[EYES][None], SIZE // SMALL)
    parts[:, CLASSES.index("eyes")] = eyes * torch.nn.functional.avg_pool2d(-5 * pictures[:, 0], SIZE // SMALL)
    return parts


def find(side: int) -> Array:
    codes = np.zeros((COUNT, N_CODES, CODE_SIZE), np.float32)
    codes[:, 1, :4] = 1 + 0.1 * np.arange(COUNT)[:, None]
    codes[:, 1, BEARD] *= -side
    given = torch.from_numpy(codes)
    pictures = draw(given, list(range(COUNT)))
    face = torch.from_numpy(oval_mask(landmarks_in_crop(SIZE), SIZE)).expand(COUNT, 1, SIZE, SIZE)
    kept = torch.nn.functional.avg_pool2d(areas()[TEETH].expand(COUNT, 1, SIZE, SIZE), SIZE // SMALL)
    nothing = torch.zeros(COUNT, len(KEPT), SMALL, SMALL)
    squares = np.tile(np.array([SIZE / 2, SIZE / 2, SIZE], np.float32), (COUNT, 1))
    shots = Shots(pictures, pictures, given, torch.zeros(COUNT, 1), squares, face, kept, nothing, nothing)
    start = np.zeros((N_CODES, CODE_SIZE), np.float32)
    start[1:3, BEARD] = 0.2 * side
    descent = Descent(draw, (1,), np.eye(CODE_SIZE, dtype=np.float32), 30, start=start)
    return find_inside(descent, Critics(judge, express, parse), shots, side)


@pytest.mark.parametrize("side", [-1, 1])
def test_what_is_shown_changes_and_neither_the_hair_nor_a_mouth_that_stays_nor_eyes(side: int) -> None:
    edit = find(side)
    assert edit.shape == (N_CODES, CODE_SIZE) and edit.dtype == np.float32
    assert not edit[[0, 3, 4, 5, 6]].any() and np.array_equal(edit[1], edit[2]), "only the codes of level 1"
    assert side * edit[1, BEARD] > 0.4, "what makes it the other"
    for other in (HAIR, TEETH, EYES):
        assert abs(edit[1, other]) < 0.5 * abs(edit[1, BEARD])
