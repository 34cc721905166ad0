"""Differentiable geometry: warping by a flow, and un-aligning crops into the window they were cut from.

Pictures are (B, C, H, W). Flows are (B, 2, H, W), x and y in pixels: W(P, f) shows at x what P shows at x + f(x).
A placement is (B, 2, 3) and takes a window's coordinates, -1 to 1 on both axes, to its crop's, likewise from -1 to
1: so it holds for crops and windows of any size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rigid.arrays import Array
from rigid.geometry import Transform


def warp(pictures: Tensor, flow: Tensor) -> Tensor:
    """W(pictures, flow) of Eq. 8, 13 and 14, bilinear; beyond the border the border's pixels are repeated."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device) + 0.5
    y = torch.arange(height, device=flow.device) + 0.5
    places = torch.stack((flow[:, 0] + x, flow[:, 1] + y[:, None]), -1)
    grid = places * flow.new_tensor([2 / width, 2 / height]) - 1
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def unalign(crops: Tensor, placements: Tensor, size: int, *, border: bool = True) -> Tensor:
    """UA of Eq. 6: `crops` (B, C, S, S) as their windows show them, (B, C, size, size).

    Outside the crop its border is repeated, or, without `border`, it is zero, as masks need. Crops that the window
    shows at half their size or less are averaged first; sampling alone would alias.
    """
    shrink = max(1, round(crops.shape[-1] / size * _stretch(placements)))
    if shrink > 1:
        crops = F.avg_pool2d(crops, shrink)
    grid = F.affine_grid(placements, [len(crops), crops.shape[1], size, size], align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="border" if border else "zeros", align_corners=False)


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
