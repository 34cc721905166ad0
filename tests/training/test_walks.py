"""Walks in W+: what moves, how much, and that edits are true."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.training.flow import DisFlow
from rigid.training.walks import LIGHT_FROM, SWINGS, Walks, draw_edit, early_only, swing, walk_codes, walk_episodes
from tests.training.episodes import CUT

N_CODES, SHARED = 12, 3


def library(*names: str) -> AttributeLibrary:
    """Each attribute moves one dimension of all codes."""
    attributes = []
    for place, name in enumerate(names):
        direction = np.zeros((N_CODES, CUT.code_size), np.float32)
        direction[:, place] = 1
        attributes.append(Attribute(name, name, "group", -1.0, 1.0, 0.0, "strength", "made by hand", direction))
    return AttributeLibrary(attributes, n_codes=N_CODES, code_size=CUT.code_size)


ALL = library("yaw", "mouth_open", "smile", "age")


def codes(value: float) -> NDArray[np.float32]:
    return np.full((N_CODES, CUT.code_size), value, np.float32)


def test_pose_mouth_and_light_move_smoothly_and_nothing_else_does() -> None:
    walk = walk_codes(codes(0.0), codes(1.0), 50, ALL, SHARED, np.random.default_rng(0))
    moved = np.ptp(walk, axis=0)
    assert not moved[-SHARED:].any(), "the shared late codes are one for all frames"
    assert (moved[0, :3] > 0.01).all(), "yaw, mouth and smile"
    assert not moved[0, 3:].any(), "age does not change in a clip"
    assert (moved[LIGHT_FROM:-SHARED, 5] > 0).all() and not moved[:LIGHT_FROM, 5].any(), "light"
    assert np.abs(np.diff(walk, axis=0)).max() < 0.5


def test_a_swing_stays_about_its_mean() -> None:
    values = np.concatenate([swing(200, 0.0, 0.5, (8, 20), np.random.default_rng(seed)) for seed in range(20)])
    assert np.abs(values).max() <= 0.5 and abs(values.mean()) < 0.02


def test_edits_are_drawn_from_all_attributes_within_their_range() -> None:
    random = np.random.default_rng(0)
    edits = np.stack([draw_edit(ALL, random)[0] for _ in range(200)])
    used = edits[:, : len(ALL)]
    assert ((used != 0).sum(1) == 1).all() and (used != 0).any(0).all()
    assert np.abs(used).max(1).min() >= 0.4 and np.abs(used).max() <= 1
    assert not early_only(codes(1.0), SHARED)[-SHARED:].any() and early_only(codes(1.0), SHARED)[:-SHARED].all()


def paint(batch: Tensor) -> NDArray[np.float32]:
    """A picture whose colour is the mean code, with a gradient."""
    ground = batch.mean((1, 2)).reshape(-1, 1, 1, 1)
    slope = torch.linspace(-0.5, 0.5, CUT.crop_size).expand(len(batch), 3, CUT.crop_size, CUT.crop_size)
    return (ground + slope).clamp(-1, 1).numpy()


def test_the_edited_faces_are_those_of_the_edited_codes() -> None:
    torch.manual_seed(0)
    mapping = MappingNetwork(CUT.code_size, depth=1)
    brighten = library("brighter")
    seen: list[Tensor] = []

    def render(batch: Tensor) -> NDArray[np.float32]:
        assert len(batch) == 3
        seen.append(batch)
        return paint(batch)

    walks = Walks(mapping, torch.zeros(CUT.code_size), brighten, render, N_CODES, SHARED, batch=3)
    episodes = list(walk_episodes(walks, 2, CUT, DisFlow(), seed=4))
    assert [episode.name for episode in episodes] == ["walk 0", "walk 1"]
    rendered = torch.cat(seen).split(9)
    for episode, batch in zip(episodes, rendered, strict=True):
        plain, edited = batch[: CUT.frames], batch[CUT.frames : 2 * CUT.frames]
        assert torch.allclose(edited - plain, torch.from_numpy(episode.edit).expand_as(plain), atol=1e-5)
        assert np.abs(episode.crops / 127.5 - 1 - paint(plain)).max() < 0.01
        assert np.abs(episode.edited / 127.5 - 1 - paint(edited)).max() < 0.01
    assert set(SWINGS) == {"yaw", "mouth_open", "smile"}
