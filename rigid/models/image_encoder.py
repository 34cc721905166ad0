"""The light e4e image encoder: W+ = mean code + one code + a delta for every code (Tov et al., 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NormedConv(nn.Sequential):
    """3×3 convolution and BatchNorm; `silent` starts the norm at zero, so that a residual block starts as nothing."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1, *, silent: bool = False):
        norm = nn.BatchNorm2d(c_out)
        if silent:
            nn.init.zeros_(norm.weight)
        super().__init__(nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), norm)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with BatchNorm around a shortcut."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = NormedConv(channels, channels)
        self.conv2 = NormedConv(channels, channels, silent=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Pyramid(nn.Module):
    """The backbone: feature maps of halving size, each stage a strided convolution and residual blocks."""

    def __init__(self, widths: Sequence[int], depths: Sequence[int]):
        super().__init__()
        self.stages = nn.ModuleList()
        previous = 3 * 4
        for width, depth in zip(widths, depths, strict=True):
            blocks = [ResidualBlock(width) for _ in range(depth)]
            down = NormedConv(previous, width, stride=1 if previous == 12 else 2)
            self.stages.append(nn.Sequential(down, nn.ReLU(), *blocks))
            previous = width

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.pixel_unshuffle(x, 2)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class StyleHead(nn.Module):
    """Codes from a feature map: 1×1 convolution, pooled to 4×4, one linear map for all its codes."""

    def __init__(self, c_in: int, n_codes: int, code_size: int, width: int = 48, *, silent: bool = False):
        super().__init__()
        self.n_codes = n_codes
        self.squeeze = nn.Sequential(nn.Conv2d(c_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.linear = nn.Linear(width * 16, n_codes * code_size)
        if silent:
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        x = F.avg_pool2d(x, x.shape[-1] // 4).flatten(1)
        return self.linear(x).unflatten(1, (self.n_codes, -1))  # type: ignore[no-any-return]


class ImageEncoder(nn.Module):
    """Aligned RGB (B, 3, 256, 256) in [-1, 1] → W+ codes (B, n_codes, 512).

    The input is halved first: codes carry what 128² shows, finer detail is the noise map's. Deltas for the
    coarse codes are read from the smallest of the maps that serve deltas, those of the fine codes from the
    largest.
    """

    mean: Tensor

    def __init__(self, mean: Tensor, *, n_codes: int, widths: Sequence[int], depths: Sequence[int]):
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.n_codes = n_codes
        self.pyramid = Pyramid(widths, depths)
        self.code = StyleHead(widths[-1], 1, mean.numel(), width=96)
        coarse = n_codes * 2 // 5
        middle = n_codes // 3
        self.deltas = nn.ModuleList(
            StyleHead(width, count, mean.numel(), silent=True)
            for width, count in zip(widths[:-4:-1], (coarse, middle, n_codes - coarse - middle), strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mean + self.offsets(F.avg_pool2d(x, 2)).sum(0)

    def offsets(self, half: Tensor) -> Tensor:
        """The one code, repeated, and the deltas (2, B, n_codes, 512) for halved inputs (B, 3, 128, 128)."""
        maps = self.pyramid(half)
        code = self.code(maps[-1]).expand(-1, self.n_codes, -1)
        deltas = [head(features) for head, features in zip(self.deltas, maps[::-1], strict=False)]
        return torch.stack((code, torch.cat(deltas, 1)))
