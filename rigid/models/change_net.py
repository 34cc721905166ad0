"""The learned composite's net: where the real pixels may stay under an edit, and what is to be added where not."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
PATCH = 2
PICTURES = 4
"""W(I, f), W(O, f), E and I, RGB each."""


class ChangeNet(nn.Module):
    """A small U-Net over the warped real, the warped inverted, the edited and the real face.

    HFGI (Wang et al., 2022) consults the distortion I - O in the generator's features; here it is consulted in the
    picture: the net sees how I and O differ, and how E differs from O, and says how far that difference is kept.
    The face that comes out is E + kept · (W(I, f) - W(O, f)) + residual. Untrained, it keeps everything and adds
    nothing. `width`: features at half the pictures' side; twice as many at a quarter and an eighth of it.
    """

    def __init__(self, width: int):
        super().__init__()
        self.stem = _conv(PICTURES * 3 * PATCH**2, width, 1)
        self.detail = _conv(width, width, 3)
        self.down1 = _conv(width, 2 * width, 3, 2)
        self.middle = _conv(2 * width, 2 * width, 3)
        self.down2 = _conv(2 * width, 2 * width, 3, 2)
        self.deep = nn.Sequential(_conv(2 * width, 2 * width, 3), _conv(2 * width, 2 * width, 3))
        self.up1 = _conv(4 * width, 2 * width, 3)
        self.up2 = _conv(3 * width, width, 3)
        self.out = nn.Conv2d(width, 4, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([4.0, 0.0, 0.0, 0.0]))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """`pictures` (B, 12, n, n): W(I, f), W(O, f), E and I, RGB in [-1, 1].

        Returns `kept` (B, 1, n/2, n/2) in [0, 1] and `residual` (B, 3, n/2, n/2).
        """
        detail = self.detail(self.stem(F.pixel_unshuffle(pictures, PATCH)))
        middle = self.middle(self.down1(detail))
        deep = self.deep(self.down2(middle))
        middle = self.up1(torch.cat((_doubled(deep), middle), 1))
        out = self.out(self.up2(torch.cat((_doubled(middle), detail), 1)))
        return out[:, :1].sigmoid(), out[:, 1:]


def compose(edited: Tensor, real: Tensor, inverted: Tensor, kept: Tensor, residual: Tensor) -> Tensor:
    """The edited face (B, 3, S, S) from E, W(I, f), W(O, f) and what the net says, at whatever size it said it."""
    kept, residual = (
        F.interpolate(x, size=edited.shape[-2:], mode="bilinear", align_corners=False) for x in (kept, residual)
    )
    return edited + kept * (real - inverted) + residual


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)
    nn.init.kaiming_normal_(convolution.weight, LEAK)
    return nn.Sequential(convolution, nn.LeakyReLU(LEAK))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
