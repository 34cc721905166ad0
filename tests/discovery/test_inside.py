"""An edit found by descent changes what the critic sees inside the face, and leaves what lies round it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array
from rigid.discovery.calibrate import Faces
from rigid.discovery.descent import Descent
from rigid.discovery.inside import Critics, find_inside
from rigid.discovery.sitters import Sitters
from rigid.face.masks import oval_mask
from tests.worlds import landmarks_in_crop

SIZE, N_CODES, CODE_SIZE = 64, 7, 6
BEARD, HAIR, TEETH = range(3)
"""The entries of level 1's codes that darken what is inside the face, what lies round it, and the mouth."""


def draw(codes: Tensor) -> Tensor:
    """Grey pictures (B, 3, S, S) of `codes` (B, 7, 6)."""
    face = torch.from_numpy(oval_mask(landmarks_in_crop(SIZE), SIZE))
    mouth = torch.zeros(SIZE, SIZE)
    mouth[39:45, 27:37] = 1
    parts = torch.stack((face - mouth.minimum(face), 1 - face, mouth))
    dark = torch.einsum("bk,khw->bhw", codes[:, 1, :3].float(), parts)
    return (-0.2 * dark)[:, None].repeat(1, 3, 1, 1)


def judge(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Dark faces are male, wherever they are dark; all are of one age."""
    return torch.full((len(faces),), 30.0), 10 * (1 - faces.mean((1, 2, 3)) / 127.5)


def express(faces: Tensor) -> Tensor:
    """Nothing to be seen."""
    return torch.zeros(len(faces), 7)


def find(steps: int) -> Array:
    codes = np.zeros((6, N_CODES, CODE_SIZE), np.float32)
    codes[:, 1, :3] = 1 + 0.1 * np.arange(6)[:, None]
    images = ((draw(torch.from_numpy(codes)).permute(0, 2, 3, 1).numpy() + 1) * 127.5).astype(np.uint8)
    seen = {"landmarks": np.repeat(landmarks_in_crop(SIZE)[None], 6, 0)}
    sitters = Sitters(Faces(codes, images, seen, np.ones((6, 1), np.float32)))
    descent = Descent(draw, (1,), np.eye(CODE_SIZE, dtype=np.float32), steps)
    return find_inside(descent, Critics(judge, express), sitters)


def test_the_inside_changes_and_neither_the_hair_nor_the_mouth() -> None:
    edit = find(steps=30)
    assert edit.shape == (N_CODES, CODE_SIZE) and edit.dtype == np.float32
    assert not edit[[0, 3, 4, 5, 6]].any() and np.array_equal(edit[1], edit[2]), "only the codes of level 1"
    assert edit[1, BEARD] < -0.2, "less of what makes it male"
    assert abs(edit[1, HAIR]) < 0.3 * abs(edit[1, BEARD])
    assert abs(edit[1, TEETH]) < 0.5 * abs(edit[1, BEARD])
