"""Warping and un-aligning, against OpenCV and against themselves."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from rigid.composite.paste import warp as warp_picture
from rigid.geometry import resample, similarity
from rigid.training.warping import flip_placements, placement, same_mouth, unalign, warp


def smooth_picture(size: int = 48, seed: int = 0) -> Tensor:
    noise = np.random.default_rng(seed).normal(0, 1, (size, size, 3)).astype(np.float32)
    return torch.from_numpy(cv2.GaussianBlur(noise, (0, 0), 3)).permute(2, 0, 1)[None]


def test_a_warp_agrees_with_opencv_inside_the_picture() -> None:
    picture = smooth_picture()
    flow = smooth_picture(seed=1)[:, :2] * 20
    ours = warp(picture, flow)[0].permute(1, 2, 0).numpy()
    theirs = warp_picture(picture[0].permute(1, 2, 0).numpy(), flow[0].permute(1, 2, 0).contiguous().numpy())
    inside = slice(8, -8)
    assert np.abs(ours - theirs)[inside, inside].max() < 0.01 * np.abs(theirs).max() + 1e-3


def test_a_whole_pixel_is_a_shift() -> None:
    picture = smooth_picture()
    flow = torch.tensor([2.0, -1.0])[None, :, None, None].expand(1, 2, 48, 48)
    assert torch.allclose(warp(picture, flow)[..., 1:, :-2], picture[..., :-1, 2:], atol=1e-5)


def test_unaligning_shows_the_frame_again() -> None:
    frame = smooth_picture(160)[0].permute(1, 2, 0).numpy()
    to_crop = similarity(np.array([80.0, 84.0]), 90.0, 0.2, (128, 128))
    crop = resample(frame, to_crop, (128, 128))
    corner, side, size = np.array([60.0, 66.0]), 40.0, 64
    place = torch.from_numpy(placement(to_crop, 128, corner, side)).float()[None]
    window = resample(frame, np.array([[1.6, 0, -60 * 1.6], [0, 1.6, -66 * 1.6]]), (size, size))
    seen = unalign(torch.from_numpy(crop).permute(2, 0, 1)[None], place, size)[0].permute(1, 2, 0).numpy()
    assert np.abs(seen - window).max() < 0.03 * np.abs(frame).max()


def test_outside_the_crop_its_border_is_repeated() -> None:
    twice = torch.tensor([[[2.0, 0, 0], [0, 2, 0]]])
    framed = torch.zeros(1, 1, 32, 32)
    framed[..., :4, :] = framed[..., -4:, :] = framed[..., :4] = framed[..., -4:] = 1
    seen = unalign(framed, twice, 32)
    assert seen[0, 0, 16, 16] == 0 and seen[0, 0, 1, 1] == 1


def test_gradients_reach_the_crop() -> None:
    crop = smooth_picture().requires_grad_()
    place = torch.tensor([[[0.9, 0.1, 0], [-0.1, 0.9, 0.1]]])
    warp(unalign(crop, place, 32), torch.ones(1, 2, 32, 32)).sum().backward()
    assert crop.grad is not None and crop.grad.abs().sum() > 0


def test_a_mirrored_placement_shows_the_mirrored_window() -> None:
    crop, place = smooth_picture(), np.array([[[0.8, 0.2, 0.1], [-0.2, 0.8, -0.05]]], np.float32)
    seen = unalign(crop, torch.from_numpy(place), 32)
    mirrored = unalign(crop.flip(-1), torch.from_numpy(flip_placements(place)), 32)
    assert torch.allclose(mirrored, seen.flip(-1), atol=1e-4)


def test_the_quarter_round_the_mouth_is_the_same_of_both_and_near_its_place() -> None:
    place = torch.arange(64.0).expand(1, 1, 64, 64)
    for seed in range(5):
        first, second = same_mouth(place, place.mT, np.random.default_rng(seed))
        assert first.shape == second.shape == (1, 1, 32, 32)
        assert abs(first.mean() - 32) <= 4.5, "as far from the left as from the right"
        assert abs(second.mean() - 0.69 * 64) <= 4.5, "below the middle"
