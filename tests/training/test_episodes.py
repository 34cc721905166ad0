"""Episodes: how they are kept, augmented and batched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rigid.training.episodes import Episode, augment, load_or_make_episodes, to_batch
from rigid.training.warping import unalign, warp
from tests.training.episodes import CUT, N_CODES, tiny_episode, tiny_set


def in_range(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).float() / 127.5 - 1


def check_agrees(episode: Episode) -> None:
    """The crops lie in the windows where the placements say, and the flows take each frame to its neighbours."""
    windows = in_range(episode.windows)
    seen = unalign(in_range(episode.crops), torch.from_numpy(np.ascontiguousarray(episode.placements)), CUT.window_size)
    inside = torch.from_numpy(episode.masks > 250)[:, None].expand_as(windows)
    assert inside.any() and (seen - windows)[inside].abs().mean() < 0.05
    back, on = torch.from_numpy(np.ascontiguousarray(episode.flows)).float()
    pairs = ((windows[:-1], windows[1:], back), (windows[1:], windows[:-1], on))
    for neighbour, here, flow in pairs:
        assert (warp(neighbour, flow) - here).abs().mean() < 0.5 * (neighbour - here).abs().mean()


def test_an_episode_agrees_with_itself() -> None:
    check_agrees(tiny_episode(0))


def test_in_a_mirror_and_in_other_light_it_still_does() -> None:
    episode = tiny_episode(1)
    seen = [augment(episode, np.random.default_rng(seed)) for seed in range(6)]
    for one in seen:
        check_agrees(one)
        ratio = one.crops.reshape(CUT.frames, -1).mean(1) / episode.crops.reshape(CUT.frames, -1).mean(1)
        assert np.ptp(ratio) < 0.1, "all frames are in the same light"
    mirrored = [np.array_equal(one.masks, episode.masks[..., ::-1]) for one in seen]
    assert any(mirrored) and not all(mirrored)


def test_a_known_edit_is_never_mirrored() -> None:
    episode = tiny_episode(1, edited=True)
    for seed in range(8):
        seen = augment(episode, np.random.default_rng(seed))
        assert np.array_equal(seen.masks, episode.masks)
        assert (in_range(seen.edited) - in_range(seen.crops)).mean() > 0.1


def test_a_part_is_an_episode() -> None:
    part = tiny_episode(2, edited=True).part(1, 2)
    assert len(part.crops) == len(part.windows) == len(part.edited) == 2 and part.flows.shape[:2] == (2, 1)
    check_agrees(part)


def test_a_batch_has_edits_of_its_own_where_none_is_known() -> None:
    episodes = [tiny_episode(0), tiny_episode(1, edited=True)]
    edits = np.ones((2, N_CODES, CUT.code_size), np.float32)
    batch = to_batch(episodes, edits, [np.random.default_rng(i) for i in range(2)])
    assert batch.known == [1] and batch.frames == CUT.frames
    assert torch.equal(batch.edits[0].cpu(), torch.ones(N_CODES, CUT.code_size)) and batch.edits[1].max() < 0.3
    assert batch.edited.shape == (1, CUT.frames, 3, CUT.crop_size, CUT.crop_size)
    assert batch.masks.min() >= 0 and batch.masks.max() <= 1


def test_generated_faces_are_mostly_seen_degraded_and_real_ones_as_they_are() -> None:
    edits = np.zeros((8, N_CODES, CUT.code_size), np.float32)
    randoms = [np.random.default_rng(i) for i in range(8)]
    for edited, least in ((True, 4), (False, 0)):
        batch = to_batch([tiny_episode(0, edited=edited)] * 8, edits, randoms)
        changed = sum(not torch.equal(a, b) for a, b in zip(batch.inputs, batch.targets, strict=True))
        assert least <= changed <= 8 * edited
        assert (batch.inputs - batch.targets).abs().mean() < 0.2


def test_they_are_made_once_and_kept(tmp_path: Path) -> None:
    first = tiny_set(tmp_path / "set", edited=False)
    again = load_or_make_episodes(tmp_path / "set", lambda: pytest.fail("made twice"))
    assert again.names == first.names == ["drift 0", "drift 1", "drift 2"]
    assert np.array_equal(again[1].crops, tiny_episode(1).crops)


def test_what_is_broken_off_is_made_anew(tmp_path: Path) -> None:
    def broken() -> list[Episode]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_or_make_episodes(tmp_path / "set", broken)
    assert len(tiny_set(tmp_path / "set", edited=False)) == 3
