"""Pictures that are aligned already, as episodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rigid.training.flow import DisFlow
from rigid.training.framing import framing, make_framed_episode, still_episodes, usual_mask
from rigid.training.warping import unalign
from tests.training.episodes import CUT, smooth_pictures
from tests.training.test_episodes import check_agrees, in_range


@pytest.mark.parametrize("seed", range(4))
def test_a_framed_episode_agrees_with_itself(seed: int) -> None:
    crops = smooth_pictures(CUT.frames, CUT.crop_size, seed)
    placements = framing(CUT.frames, np.random.default_rng(seed))
    check_agrees(make_framed_episode("pictures", crops, placements, CUT, DisFlow()))


def test_a_still_stands_still_in_its_window_while_its_alignment_jitters() -> None:
    still = smooth_pictures(1, CUT.crop_size, 3)[0]
    episode = next(still_episodes([("still", still)], CUT, DisFlow(), seed=0))
    windows, crops = in_range(episode.windows), in_range(episode.crops)
    inside = torch.from_numpy(episode.masks > 250).all(0).expand(3, -1, -1)
    assert (windows[1:] - windows[:1]).abs()[:, inside].max() < 0.06
    assert all(not np.array_equal(a, b) for a, b in zip(episode.crops, episode.crops[1:], strict=False))
    seen = unalign(crops, torch.from_numpy(np.ascontiguousarray(episode.placements)), CUT.window_size)
    assert (seen - windows)[inside.expand_as(seen)].abs().mean() < 0.03


def test_the_usual_mask_covers_the_inner_face() -> None:
    mask = usual_mask(64)
    assert mask[36, 32] == 1 and mask[2, 2] == 0 and 0.2 < mask.mean() < 0.4
