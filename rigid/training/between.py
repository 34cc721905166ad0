"""The in-between frame (Eq. 8): composed of its two neighbours, warped to it, by the visible net's map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rigid.training.device import half_precision
from rigid.training.layout import pixels_last
from rigid.training.warping import warp


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
