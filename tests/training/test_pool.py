"""Generated faces: drawn with more of what is hard, kept, grown, and chosen with all tones about as often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rigid.arrays import Array
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.models.build import new_mapping
from rigid.training.draws import HARD, FaceDraws, tone_group
from rigid.training.pool import BLOCK, FacePool
from tests.training.parts import Painter

DARK, TAN, LIGHT = (70, 45, 30), (200, 155, 122), (235, 200, 180)


def plain(colour: tuple[int, int, int], side: int = 128) -> NDArray[np.uint8]:
    return np.full((side, side, 3), colour, np.uint8)


def test_darker_skin_lies_in_a_lower_group() -> None:
    groups = [tone_group(plain(colour)) for colour in (DARK, TAN, LIGHT)]
    assert groups == sorted(set(groups)) and groups[0] == 0 and groups[-1] == 3


def test_only_cheeks_and_forehead_say_what_the_tone_is() -> None:
    face = plain(DARK)
    face[:, :20], face[-20:], face[50:70, 44:84] = LIGHT, LIGHT, LIGHT
    assert tone_group(face) == tone_group(plain(DARK))


class Compiler:
    """Makes of any network one that paints faces in the colour of their codes, and counts them."""

    def __init__(self) -> None:
        self.painted = 0

    def __call__(self, network: nn.Module, example: Tensor) -> Callable[[Tensor], Array]:
        return self._paint

    def _paint(self, codes: Tensor) -> Array:
        self.painted += len(codes)
        colour = codes[:, 0, :3, None, None].expand(-1, -1, 128, 128)
        return np.asarray(colour.numpy(), np.float32)


def draw_mostly_light(count: int, seed: int) -> Tensor:
    """One dark face among each block of light ones."""
    codes = torch.tensor(LIGHT).float().expand(count, 2, 3) / 127.5 - 1
    codes = codes + 0.01 * torch.rand(count, 2, 3, generator=torch.Generator().manual_seed(seed))
    codes[seed % count] = torch.tensor(DARK).float() / 127.5 - 1
    return codes


def test_a_pool_is_the_same_made_or_found_and_grows_by_blocks(tmp_path: Path) -> None:
    compiler = Compiler()
    folder, generator = tmp_path / "faces", Painter()
    made, found = (FacePool(folder, draw_mostly_light, generator, seed=3, compiler=compiler) for _ in range(2))  # type: ignore[arg-type]
    made.grow(BLOCK + 1)
    assert len(made) == 2 * BLOCK and compiler.painted == 2 * BLOCK
    found.grow(2 * BLOCK)
    assert compiler.painted == 2 * BLOCK
    places = [0, BLOCK + 4]
    assert torch.equal(made.codes_of(places), found.codes_of(places))
    assert all(np.array_equal(made.picture(i), found.picture(i)) for i in places)
    # a code and its picture stay together
    shown = np.rint((made.codes_of(places)[:, 0].numpy() + 1) * 127.5)
    assert np.abs(np.stack([made.picture(i)[64, 64] for i in places]) - shown).max() <= 1


def test_rare_tones_are_chosen_as_often_as_common_ones(tmp_path: Path) -> None:
    pool = FacePool(tmp_path, draw_mostly_light, Painter(), seed=3, compiler=Compiler())  # type: ignore[arg-type]
    pool.grow(BLOCK)
    chosen = pool.choose(np.random.default_rng(0), 200)
    dark = sum(tone_group(pool.picture(i)) == 0 for i in chosen)
    assert 70 < dark < 130 and len(set(chosen)) > BLOCK // 2


def test_draws_push_faces_along_what_is_hard_and_along_nothing_else() -> None:
    directions = np.eye(2, 512, dtype=np.float32)[:, None].repeat(4, 1)
    attributes = [
        Attribute(name, name, "face", -2.0, 2.0, 0.0, "strength", "made by hand", direction)
        for name, direction in zip(("mouth_open", "beard"), directions, strict=True)
    ]
    hard, none = (AttributeLibrary(some, n_codes=4, code_size=512) for some in (attributes, []))
    mapping, mean = new_mapping(), torch.zeros(512)
    pushes = FaceDraws(mapping, mean, hard, 4)(200, 5) - FaceDraws(mapping, mean, none, 4)(200, 5)
    strengths = pushes[:, 0, 0]
    low, high = HARD["mouth_open"]
    pushed = strengths[strengths.abs() > 1e-3]
    assert 30 < len(pushed) < 90 and pushed.min() >= low - 1e-3 and pushed.max() <= high + 1e-3
    assert pushes[:, :, 1:].abs().max() < 1e-3
