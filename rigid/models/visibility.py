"""The visible net V (Eq. 8): which of a frame's two warped neighbours shows what the frame shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
SLOMO_LEAK = 0.1
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
        x = _pad(neighbours, 2 ** len(self.downs))
        maps = []
        for down in self.downs:
            x = down(x)
            maps.append(x)
        maps.pop()
        for up in self.ups:
            x = torch.cat((up(x), maps.pop()), 1)
        return self.out(x)[..., :height, :width].sigmoid()  # type: ignore[no-any-return]


class InterpolationNet(nn.Module):
    """The visible net of the authors' published code: the U-Net of Super SloMo (Jiang et al., 2018), 6 → 1 channels.

    It has pooling and bilinear interpolation in place of strides, and no BatchNorm. Parts have their published names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(6, 32, 7, padding=3)
        self.conv2 = nn.Conv2d(32, 32, 7, padding=3)
        widths = (32, 64, 128, 256, 512, 512)
        for i, (a, b) in enumerate(pairwise(widths), 1):
            self.add_module(f"down{i}", ConvPair(a, b, b, 5 if i == 1 else 3))
        for i, (a, b) in enumerate(pairwise((512, *widths[-2::-1])), 1):
            self.add_module(f"up{i}", ConvPair(a, b, 2 * b, 3))
        self.conv3 = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, neighbours: Tensor) -> Tensor:
        """Predict as `VisibleNet.forward` does."""
        height, width = neighbours.shape[-2:]
        x = F.leaky_relu(self.conv1(_pad(neighbours, 32)), SLOMO_LEAK)
        maps = [F.leaky_relu(self.conv2(x), SLOMO_LEAK)]
        for i in range(1, 6):
            maps.append(self.get_submodule(f"down{i}")(F.avg_pool2d(maps[-1], 2)))
        x = maps.pop()
        for i in range(1, 6):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.get_submodule(f"up{i}")(x, maps.pop())
        return F.leaky_relu(self.conv3(x), SLOMO_LEAK)[..., :height, :width].sigmoid()


class ConvPair(nn.Module):
    """Two convolutions with leaky ReLU; the second also reads `beside`, where it is given."""

    def __init__(self, c_in: int, c_out: int, c_second: int, kernel: int):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(c_second, c_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        x = F.leaky_relu(self.conv1(x), SLOMO_LEAK)
        return F.leaky_relu(self.conv2(x if beside is None else torch.cat((x, beside), 1)), SLOMO_LEAK)


def _halving(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 4, 2, 1)


def _doubling(c_in: int, c_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(c_in, c_out, 4, 2, 1)


def _pad(x: Tensor, multiple: int) -> Tensor:
    """`x` with its last row and column repeated until both sides are multiples of `multiple`."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")
