"""What replaces the weights that ship, and how a pair of encoders is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rigid.assets.store import AssetStore
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.reporting import say_nothing
from rigid.training.judge import JUDGED_EDITS, JUDGED_SHAPES, Judge, judge
from rigid.training.judge_rules import RULES, Verdict
from rigid.training.rollout import Networks
from tests.networks import SIZES
from tests.training.episodes import N_CODES
from tests.training.parts import Distance, tiny_networks

SHIPPED = {rule.measure: 0.5 for rule in RULES}


def verdict(**after: float) -> Verdict:
    return Verdict(SHIPPED, SHIPPED | after)


def test_one_goal_came_nearer_and_nothing_became_worse() -> None:
    assert verdict(codes_mse=0.45).yes and verdict(noise_lpips=0.45).yes
    assert not verdict().yes
    assert not verdict(codes_mse=0.499).yes
    assert not verdict(flicker=0.3).yes


@pytest.mark.parametrize(
    ("measure", "value"),
    [("jaw_error", 0.6), ("flicker", 0.52), ("edit_share", 0.4), ("noise_mse", 0.52), ("coherence", float("nan"))],
)
def test_whatever_became_worse_is_named_and_forbids_it(measure: str, value: float) -> None:
    given = verdict(codes_mse=0.3, **{measure: value})
    assert given.worse == [measure] and not given.yes
    assert sum("worse" in line for line in given.table().splitlines()) == 1


class Brightness:
    """Sees how bright a face is, and none where it is black."""

    def __call__(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        means = faces.mean((1, 2, 3)) / 255
        return np.where(means > 0.1, means, np.nan)[:, None].repeat(len(JUDGED_SHAPES), 1).astype(np.float32)


@pytest.fixture
def judged() -> Judge:
    random = np.random.default_rng(5)
    directions = random.normal(0, 0.2, (len(JUDGED_EDITS), N_CODES, SIZES.code_size)).astype(np.float32)
    attributes = [
        Attribute(name, name, "face", -1.0, 1.0, 0.0, "strength", "made by hand", direction)
        for name, direction in zip(JUDGED_EDITS, directions, strict=True)
    ]
    library = AttributeLibrary(attributes, n_codes=N_CODES, code_size=SIZES.code_size)
    clips = torch.rand(2, 5, 3, SIZES.image_size, SIZES.image_size, generator=torch.Generator().manual_seed(1)) - 0.2
    return Judge(clips, library, Distance(), Brightness())


class Copying(torch.nn.Module):
    """A generator that shows what it was given to show, one picture after the other."""

    def __init__(self, pictures: torch.Tensor):
        super().__init__()
        self.pictures = pictures

    def forward(self, codes: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        return self.pictures.expand(len(codes), -1, -1, -1)


def test_a_pair_is_measured_by_every_rule(judged: Judge) -> None:
    measures = judged(tiny_networks())
    assert measures.keys() == SHIPPED.keys()
    assert all(np.isfinite(value) for value in measures.values())
    # the untrained recurrent encoder has no noise map and no offsets: both are the codes' own picture and edit
    assert measures["edit_share"] == pytest.approx(1, abs=1e-3)


def test_a_still_face_shown_as_it_is_has_no_error(judged: Judge) -> None:
    face = judged.clips[:1, 0]
    still = replace(judged, clips=face[:, None].expand(2, 5, -1, -1, -1).contiguous())
    measures = still(replace_generator(tiny_networks(), face))
    for name in ("codes_mse", "codes_lpips", "noise_mse", "noise_lpips", "jaw_error", "smile_error", "flicker"):
        assert measures[name] == pytest.approx(0, abs=1e-6), name


def test_a_face_that_is_not_seen_any_more_is_wholly_wrong(judged: Judge) -> None:
    black = torch.full_like(judged.clips[:1, 0], -1)
    assert judged(replace_generator(tiny_networks(), black))["jaw_error"] == 1


def replace_generator(networks: Networks, shown: torch.Tensor) -> Networks:
    return replace(networks, generator=Copying(shown))


def test_a_folder_without_weights_is_refused(tmp_path: Path, store: AssetStore) -> None:
    with pytest.raises(ValueError, match="holds no weights to judge; it must hold one of: image_encoder"):
        judge(tmp_path, tmp_path, store, tmp_path, say=say_nothing)
