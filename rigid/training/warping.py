"""Differentiable geometry: warping by a flow, composing a frame of its neighbours, un-aligning crops into their window.

Pictures are (B, C, H, W). Flows are (B, 2, H, W), x and y in pixels: W(P, f) shows at x what P shows at x + f(x).
A placement is (B, 2, 3) and takes a window's coordinates, -1 to 1 on both axes, to its crop's, likewise from -1 to
1: so it holds for crops and windows of any size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.arrays import Array
from rigid.geometry import Transform
from rigid.training.device import half_precision, pixels_last

MOUTH = (0.44, 0.25)
"""Top and left of the quarter of an aligned face that has the mouth in its middle, in sides of the picture."""
MOUTH_SHIFT = 0.06
"""How far such a quarter may lie beside it."""


def warp(pictures: Tensor, flow: Tensor) -> Tensor:
    """W(pictures, flow) of Eq. 8, 13 and 14, bilinear; beyond the border the border's pixels are repeated."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device) + 0.5
    y = torch.arange(height, device=flow.device) + 0.5
    places = torch.stack((flow[:, 0] + x, flow[:, 1] + y[:, None]), -1)
    grid = places * flow.new_tensor([2 / width, 2 / height]) - 1
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def compose_between(visible: nn.Module, before: Tensor, after: Tensor, back: Tensor, on: Tensor) -> Tensor:
    """Ê_t (B, 3, R, R) of Eq. 8.

    `before`, `after`: the frames t-1 and t+1 (B, 3, R, R); `back`, `on`: the flows from frame t to them (B, 2, R, R).
    What is visible is a fact about the motion: no gradient passes through the map to the frames.
    """
    earlier, later = warp(before, back), warp(after, on)
    with half_precision():
        share = visible(pixels_last(torch.cat((earlier, later), 1).detach()))
    between: Tensor = share.float() * (earlier - later) + later
    return between


def unalign(crops: Tensor, placements: Tensor, size: int) -> Tensor:
    """UA of Eq. 6: `crops` (B, C, S, S) as their windows show them, (B, C, size, size).

    Outside the crop its border is repeated. Crops that the window shows at half their size or less are averaged
    first; sampling alone would alias.
    """
    shrink = max(1, round(crops.shape[-1] / size * _stretch(placements)))
    if shrink > 1:
        crops = F.avg_pool2d(crops, shrink)
    grid = F.affine_grid(placements, [len(crops), crops.shape[1], size, size], align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def _stretch(placements: Tensor) -> float:
    """How many crop sides a window's side is long, a mean."""
    return float(placements[:, :, :2].det().abs().sqrt().mean())


def placement(to_crop: Transform, crop_size: int, corner: NDArray[np.floating[Any]], side: float) -> Transform:
    """The placement (2, 3) of a square window of the frame.

    `to_crop`: frame → crop pixels; `corner` (2,) and `side` of the window in frame pixels.
    """
    centre = to_crop[:, :2] @ (np.asarray(corner) + side / 2) + to_crop[:, 2]
    return np.column_stack((to_crop[:, :2] * (side / crop_size), 2 * centre / crop_size - 1))


def flip_placements(placements: Array) -> Array:
    """`placements` (..., 2, 3) for window and crop seen in a mirror."""
    signs = np.array([[1, -1, -1], [-1, 1, 1]], np.float32)
    return placements * signs


def same_window(image: Tensor, target: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cut the same random quarter of both (B, C, S, S): perceptual nets cost more than what is trained."""
    side = image.shape[-1] // 2
    y, x = random.integers(0, side + 1, 2)
    return image[..., y : y + side, x : x + side], target[..., y : y + side, x : x + side]


def same_mouth(image: Tensor, target: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cut the same quarter of both (B, C, S, S), aligned faces: the one round the mouth, give or take."""
    size = image.shape[-1]
    top, left = (round(size * (place + random.uniform(-MOUTH_SHIFT, MOUTH_SHIFT))) for place in MOUTH)
    where = (..., slice(top, top + size // 2), slice(left, left + size // 2))
    return image[where], target[where]
