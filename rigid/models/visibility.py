"""The visible net V (Eq. 8): which of a frame's two warped neighbours shows what the frame shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
WIDTHS = (32, 64, 128, 256, 256)


class Normed(nn.Sequential):
    """A convolution, plain or transposed, BatchNorm and leaky ReLU."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d):
        super().__init__(convolution, nn.BatchNorm2d(convolution.out_channels), nn.LeakyReLU(LEAK))


class VisibleNet(nn.Module):
    """The paper's visible net: a U-Net of 5 convolutions and 5 transposed convolutions, 6 → 1 channels.

    BatchNorm and leaky ReLU lie between the layers, a sigmoid after the last one. `widths`: channels after each
    convolution, all of which halve the side.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS):
        super().__init__()
        self.downs = nn.ModuleList(Normed(_halving(a, b)) for a, b in pairwise((6, *widths)))
        # Every layer but the deepest also reads the map of its own size on the way down.
        deepest, *others = pairwise(widths[::-1])
        self.ups = nn.ModuleList(
            [Normed(_doubling(deepest[0], deepest[1])), *(Normed(_doubling(2 * a, b)) for a, b in others)]
        )
        self.out = _doubling(2 * widths[0], 1)

    def forward(self, neighbours: Tensor) -> Tensor:
        """How much of each pixel the earlier frame shows, (B, 1, H, W) in [0, 1].

        `neighbours` (B, 6, H, W): the frames t-1 and t+1 warped to t, RGB in [-1, 1], of any size.
        """
        height, width = neighbours.shape[-2:]
        x = _padded(neighbours, 2 ** len(self.downs))
        maps = []
        for down in self.downs:
            x = down(x)
            maps.append(x)
        maps.pop()
        for up in self.ups:
            x = torch.cat((up(x), maps.pop()), 1)
        return self.out(x)[..., :height, :width].sigmoid()  # type: ignore[no-any-return]


def _halving(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 4, 2, 1)


def _doubling(c_in: int, c_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(c_in, c_out, 4, 2, 1)


def _padded(x: Tensor, multiple: int) -> Tensor:
    """`x` with its last row and column repeated until both sides are multiples of `multiple`."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")
