"""A ConvLSTM cell (Shi et al., 2015) without peepholes: the memory of the recurrent encoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvLSTM(nn.Module):
    """One step of the cell; all four gates are one 3×3 convolution, in the order input, forget, output, cell."""

    def __init__(self, in_channels: int, hidden_channels: int):
        super().__init__()
        self.gates = nn.Conv2d(in_channels + hidden_channels, 4 * hidden_channels, 3, padding=1)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """`x` (B, in, H, W), `hidden` and `cell` (B, C, H, W) of the step before → those of this step."""
        i, f, o, g = self.gates(torch.cat((x, hidden), 1)).chunk(4, 1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell
