"""The recurrent losses, against the equations written out and on episodes whose losses are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from rigid.training.episodes import Batch, to_batch
from rigid.training.flow import DisFlow
from rigid.training.recurrent_losses import LossWeights, RecurrentLosses, place_in_windows, temporal_consistency
from rigid.training.rollout import Compensation, Step
from rigid.training.warping import compose_between, unalign, warp
from tests.training.episodes import CUT, N_CODES, tiny_episode
from tests.training.parts import Distance, Even

PAPER = LossWeights()


def a_batch(*, edited: bool = False) -> Batch:
    edits = np.zeros((2, N_CODES, CUT.code_size), np.float32)
    episodes = [tiny_episode(seed, edited=edited) for seed in range(2)]
    return to_batch(episodes, edits, [np.random.default_rng(seed) for seed in range(2)])


def steps_of(inverted: Tensor, edited: Tensor) -> list[Step]:
    nothing = torch.zeros(2, 1, 1)
    found = Compensation(nothing, nothing, nothing, nothing)
    return [Step(inverted[:, t], edited[:, t], found) for t in range(CUT.frames)]


def measured(batch: Batch, inverted: Tensor, edited: Tensor, weights: LossWeights = PAPER) -> dict[str, float]:
    losses = RecurrentLosses(weights, Distance(), Even(), DisFlow())
    values = losses.of_episode(batch, steps_of(inverted, edited), np.random.default_rng(0))
    return {name: value.item() for name, value in values.items()}


def test_a_perfect_inversion_costs_next_to_nothing() -> None:
    batch = a_batch()
    losses = measured(batch, batch.targets, batch.targets)
    assert losses["l2"] == losses["lpips"] == 0
    assert losses["tc"] < 0.1 and losses["ibfcc"] < 0.3, "what un-aligning and warping lose"


def test_the_total_is_the_papers_sum() -> None:
    batch = a_batch()
    noisy = batch.targets + 0.2 * torch.randn(batch.targets.shape, generator=torch.Generator().manual_seed(0))
    losses = measured(batch, noisy, noisy)
    total = losses["l2"] + 0.8 * losses["lpips"] + 2 * losses["tc"] + 5 * losses["ibfcc"]
    assert losses["loss"] == pytest.approx(total, rel=1e-5)
    assert losses["l2"] == pytest.approx(CUT.frames * 0.04, rel=0.05)


def test_a_flickering_face_is_found_by_both_temporal_losses() -> None:
    batch = a_batch()
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0])[None, :, None, None, None]
    flickering, steady = batch.targets + 0.15 * signs, batch.targets + 0.15
    calm, restless = measured(batch, batch.targets, steady), measured(batch, batch.targets, flickering)
    assert restless["ibfcc"] > 1.5 * calm["ibfcc"], "an edit may change the colour, but not from frame to frame"
    assert measured(batch, flickering, batch.targets)["tc"] > 3 * calm["tc"]


def test_temporal_consistency_is_equations_13_to_15() -> None:
    batch = a_batch()
    o = batch.windows + 0.1 * torch.randn(batch.windows.shape, generator=torch.Generator().manual_seed(1))
    expected = torch.zeros(())
    for t, (_, _) in enumerate(pairwise(range(CUT.frames)), 1):
        real, inverted = (warp(frames[:, t - 1], batch.flows_back[:, t - 1]) for frames in (batch.windows, o))
        expected = expected + (real - inverted).abs().mean()
    assert torch.allclose(temporal_consistency(batch, o), expected, rtol=1e-4)


def test_outside_the_face_the_frame_stays() -> None:
    batch = a_batch()
    o, e = place_in_windows(batch, batch.targets + 1, batch.targets + 1, DisFlow())
    nowhere = (batch.masks == 0).expand_as(o)
    everywhere = (batch.masks == 1).expand_as(o)
    assert torch.equal(o[nowhere], batch.windows[nowhere])
    size = batch.windows.shape[-1]
    plain = unalign((batch.targets + 1).flatten(0, 1), batch.placements.flatten(0, 1), size).reshape(o.shape)
    assert torch.allclose(o[everywhere], plain[everywhere], atol=1e-5)
    assert torch.allclose(e[everywhere], plain[everywhere], atol=1e-5), "the union holds at least the real mask"


def test_the_frame_between_two_shifted_ones_is_found() -> None:
    from tests.training.test_warping import smooth_picture

    wide = smooth_picture(64)
    before, here, after = (wide[..., 16:48, 16 + dx : 48 + dx] for dx in (-2, 0, 2))
    right = torch.tensor([2.0, 0.0])[None, :, None, None].expand(1, 2, 32, 32)
    between = compose_between(Even(), before, after, right, -right)
    assert torch.allclose(between[..., 4:-4], here[..., 4:-4], atol=1e-5)


def test_a_known_edit_is_held_to_its_truth() -> None:
    batch = a_batch(edited=True)
    weights = replace(PAPER, edit=1.0)
    right = measured(batch, batch.targets, batch.edited, weights)
    wrong = measured(batch, batch.targets, batch.targets, weights)
    assert right["edit"] == 0 and wrong["edit"] > 0.05
    unknown = a_batch()
    assert measured(unknown, unknown.targets, unknown.targets, weights)["edit"] == 0


@pytest.mark.parametrize("name", ["tc", "ibfcc"])
def test_an_ablated_loss_is_not_counted(name: str) -> None:
    batch = a_batch()
    losses = measured(batch, batch.targets, batch.targets + 0.1, replace(PAPER, **{name: 0.0}))
    assert name not in losses and {"tc", "ibfcc"} & set(losses)
