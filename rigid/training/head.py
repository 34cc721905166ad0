"""A wavelet head in closed form."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from rigid.models.mobile_stylegan import WaveletHead, haar


@torch.no_grad()
def solve_head(head: WaveletHead, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Set `head` to the least-squares map from features (B, C, H, W) to images (B, 3, 2H, 2W); modulation at one."""
    nn.init.zeros_(head.modulation.weight)
    nn.init.ones_(head.modulation.bias)
    width = head.pointwise.in_channels + 1
    gram, moment = torch.zeros(width, width, dtype=torch.float64), torch.zeros(width, 12, dtype=torch.float64)
    for x, image in batches:
        low, high = haar(image)
        rows = torch.cat((x, torch.ones_like(x[:, :1])), 1).movedim(1, -1).reshape(-1, width)
        bands = torch.cat((low, high.flatten(1, 2)), 1).movedim(1, -1).reshape(-1, 12)
        gram += (rows.T @ rows).double()
        moment += (rows.T @ bands).double()
    ridge = 1e-4 * gram.diagonal().mean() * torch.eye(width, dtype=torch.float64)
    solution = torch.linalg.solve(gram + ridge, moment).float()
    head.pointwise.weight.copy_(solution[:-1].T[:, :, None, None])
    assert head.pointwise.bias is not None
    head.pointwise.bias.copy_(solution[-1])
