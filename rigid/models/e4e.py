"""The e4e image encoder (Tov et al., 2021): an IR-SE50 backbone and one style head a code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD_LEAK = 0.01
SQUEEZE = 16


class IrSeBlock(nn.Module):
    """A residual block of IR-SE50: BatchNorm, 3×3, PReLU, 3×3, BatchNorm, squeeze-and-excitation."""

    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        self.stride = stride
        self.norm = nn.BatchNorm2d(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        self.slope = nn.PReLU(c_out)
        self.conv2 = nn.Sequential(nn.Conv2d(c_out, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out))
        self.squeeze = nn.Conv2d(c_out, c_out // SQUEEZE, 1, bias=False)
        self.excite = nn.Conv2d(c_out // SQUEEZE, c_out, 1, bias=False)
        self.shortcut = (
            nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
            if c_in != c_out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.slope(self.conv1(self.norm(x))))
        weights = self.excite(F.relu(self.squeeze(out.mean((2, 3), keepdim=True)))).sigmoid()
        beside = x[..., :: self.stride, :: self.stride] if self.shortcut is None else self.shortcut(x)
        return torch.addcmul(beside, out, weights)


class StyleHeads(nn.Module):
    """The heads that read one map: (B, c_in, 2^n, 2^n) → (B, n_heads, code_size) by n convolutions of stride two.

    All heads run as one: after the first convolution, which they share the input of, each is a group.
    """

    def __init__(self, n_heads: int, c_in: int, code_size: int, n_convs: int):
        super().__init__()
        self.n_heads = n_heads
        width = n_heads * code_size
        self.convs = nn.ModuleList(
            nn.Conv2d(width if i else c_in, width, 3, 2, 1, groups=n_heads if i else 1) for i in range(n_convs)
        )
        self.linear = nn.Conv2d(width, width, 1, groups=n_heads)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), HEAD_LEAK)
        return self.linear(x).view(x.shape[0], self.n_heads, -1)  # type: ignore[no-any-return]


class E4eEncoder(nn.Module):
    """Aligned RGB (B, 3, 256, 256) in [-1, 1] → W+ codes (B, n_codes, code_size).

    The first head gives the code that all share, the others what each code adds to it. The coarse codes are read
    at 16², the middle ones at 32², the fine ones at 64². `heads`: how many of each kind; `stages`: width and number
    of blocks of each of the four stages, the first block of which halves the side.
    """

    mean: Tensor

    def __init__(self, *, code_size: int, heads: tuple[int, int, int], stages: Sequence[tuple[int, int]]):
        super().__init__()
        coarse, middle, fine = heads
        width = stages[0][0]
        self.register_buffer("mean", torch.zeros(sum(heads), code_size))
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))
        self.stages = nn.ModuleList()
        for c_out, n_blocks in stages:
            blocks = [IrSeBlock(c_out if i else width, c_out, 1 if i else 2) for i in range(n_blocks)]
            self.stages.append(nn.Sequential(*blocks))
            width = c_out
        _, (c_fine, _), (c_middle, _), (c_coarse, _) = stages
        self.to_middle = nn.Conv2d(c_middle, c_coarse, 1)
        self.to_fine = nn.Conv2d(c_fine, c_coarse, 1)
        self.coarse = StyleHeads(coarse, c_coarse, code_size, 4)
        self.middle = StyleHeads(middle, c_coarse, code_size, 5)
        self.fine = StyleHeads(fine, c_coarse, code_size, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages[0](self.stem(x))
        fine = self.stages[1](x)
        middle = self.stages[2](fine)
        p3 = self.stages[3](middle)
        p2 = _enlarge(p3, 2) + self.to_middle(middle)
        p1 = _enlarge(p2, 2) + self.to_fine(fine)
        first, coarse = self.coarse(p3).split((1, self.coarse.n_heads - 1), 1)
        deltas = torch.cat((torch.zeros_like(first), coarse, self.middle(p2), self.fine(p1)), 1)
        codes: Tensor = self.mean + first + deltas
        return codes


def _enlarge(x: Tensor, factor: int) -> Tensor:
    """`x` at `factor` times its size, its corner pixels staying at the corners."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)
