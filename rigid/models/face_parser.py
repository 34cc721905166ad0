"""The face parser: what each place of an aligned face belongs to.

A U-Net (Ronneberger et al., 2015) over the halved crop. It learns from generated faces that the generator's own
features label, as in DatasetGAN (Zhang et al., 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.contract import CLASSES


class FaceParser(nn.Module):
    """An aligned face as the probabilities of `CLASSES`. `width`: features at half of the halved crop."""

    def __init__(self, width: int):
        super().__init__()
        w = width
        self.to_half = nn.Sequential(_block(3, w, 2), _block(w, w))
        self.to_quarter = nn.Sequential(_block(w, 2 * w, 2), _block(2 * w, 2 * w))
        self.to_eighth = nn.Sequential(_block(2 * w, 4 * w, 2), _block(4 * w, 4 * w))
        self.deep = nn.Sequential(_block(4 * w, 6 * w, 2), _block(6 * w, 6 * w), _block(6 * w, 6 * w))
        self.up_eighth = _block(10 * w, 4 * w)
        self.up_quarter = _block(6 * w, 2 * w)
        self.up_half = _block(3 * w, 2 * w)
        self.out = nn.Conv2d(2 * w, len(CLASSES), 1)

    def logits(self, halves: Tensor) -> Tensor:
        """`forward` before the softmax, of pictures that are halved already: (B, 3, S / 2, S / 2)."""
        half = self.to_half(halves)
        quarter = self.to_quarter(half)
        eighth = self.to_eighth(quarter)
        up = self.up_eighth(torch.cat((_double(self.deep(eighth)), eighth), 1))
        up = self.up_quarter(torch.cat((_double(up), quarter), 1))
        logits: Tensor = self.out(self.up_half(torch.cat((_double(up), half), 1)))
        return logits

    def forward(self, pictures: Tensor) -> Tensor:
        """`pictures` (B, 3, S, S) RGB in [-1, 1] → probabilities (B, len(CLASSES), S / `SHRINK`, S / `SHRINK`)."""
        return self.logits(F.avg_pool2d(pictures, 2)).softmax(1)


def _block(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
