"""MobileStyleGAN (Belousov, 2021): StyleGAN2 distilled into depthwise-separable convolutions and wavelets.

Demodulation is folded into the static convolution weights, so a style enters only as a scale on the
input channels: s = A w + b. Upsampling is an inverse Haar transform of the modulated features. Level i
(resolution 8·2^i) takes codes 3i+1 (upsampling and first convolution) and 3i+2 (second convolution);
the image head after it takes code 3i+3; the 4×4 level takes code 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.modulation import Modulation

LEAK = 0.2
Kind = Literal["dense", "separable", "pointwise"]


def inverse_haar(low: Tensor, high: Tensor) -> Tensor:
    """Inverse 2-D Haar transform: `low` (B, C, H, W), `high` (B, C, 3, H, W) as LH, HL, HH → (B, C, 2H, 2W)."""
    lh, hl, hh = high.unbind(2)
    top, bottom, left, right = low + lh, low - lh, hl + hh, hl - hh
    quads = torch.stack((top + left, top - left, bottom + right, bottom - right), -1) * 0.5
    # Written so that channels-last features stay so: a third less time in training than a pixel shuffle.
    batch, channels, height, width = low.shape
    rows = quads.permute(0, 2, 3, 4, 1).reshape(batch, height, width, 2, 2, channels).transpose(2, 3)
    return rows.reshape(batch, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def haar(x: Tensor) -> tuple[Tensor, Tensor]:
    """2-D Haar transform of `x` (B, C, 2H, 2W): the low band (B, C, H, W) and LH, HL, HH (B, C, 3, H, W)."""
    a, b, c, d = F.pixel_unshuffle(x, 2).unflatten(1, (-1, 4)).unbind(2)
    bands = (a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d)
    low, lh, hl, hh = (band * 0.5 for band in bands)
    return low, torch.stack((lh, hl, hh), 2)


def split_bands(x: Tensor) -> tuple[Tensor, Tensor]:
    """The low and the high bands of wavelet features (B, 4C, H, W), stored as C low then C × (LH, HL, HH)."""
    channels = x.shape[1] // 4
    return x[:, :channels], x[:, channels:].unflatten(1, (channels, 3))


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU: dense 3×3, depthwise 3×3 then pointwise, or pointwise alone."""

    noise: Tensor

    def __init__(self, in_channels: int, out_channels: int, resolution: int, *, kind: Kind, code_size: int):
        super().__init__()
        self.modulation = Modulation(code_size, in_channels)
        self.depthwise = (
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
            if kind == "separable"
            else None
        )
        size = 3 if kind == "dense" else 1
        self.pointwise = nn.Conv2d(in_channels, out_channels, size, padding=size // 2)
        self.register_buffer("noise", torch.zeros(1, 1, resolution, resolution))

    def forward(self, x: Tensor, w: Tensor, n: Tensor | None = None) -> Tensor:
        """`x` (B, in, H, W), `w` (B, 512), `n`: a noise map n_t (B, out, H, W) added to the fixed noise."""
        x = self.modulation.modulate(x, w)
        if self.depthwise is not None:
            x = self.depthwise(x)
        x = self.pointwise(x) + self.noise.to(x.dtype)
        if n is not None:
            x = x + n
        return F.leaky_relu(x, LEAK)


class Level(nn.Module):
    """One doubling of the resolution: modulated inverse Haar transform, then two styled convolutions."""

    def __init__(self, in_channels: int, out_channels: int, resolution: int, code_size: int):
        super().__init__()
        self.up = Modulation(code_size, in_channels)
        self.conv1 = StyledConv(in_channels // 4, out_channels, resolution, kind="separable", code_size=code_size)
        self.conv2 = StyledConv(out_channels, out_channels, resolution, kind="separable", code_size=code_size)

    def forward(self, x: Tensor, w1: Tensor, w2: Tensor, n: Tensor | None = None) -> Tensor:
        x = inverse_haar(*split_bands(self.up.modulate(x, w1)))
        return self.conv2(self.conv1(x, w1, n), w2, n)  # type: ignore[no-any-return]


class WaveletHead(nn.Module):
    """Features (B, C, H, W) → RGB (B, 3, 2H, 2W): a modulated 1×1 convolution to 12 bands, inverse Haar."""

    def __init__(self, in_channels: int, code_size: int):
        super().__init__()
        self.modulation = Modulation(code_size, in_channels)
        self.pointwise = nn.Conv2d(in_channels, 12, 1)

    def bands(self, x: Tensor, w: Tensor) -> Tensor:
        """The 12 wavelet bands (B, 12, H, W) before the inverse transform."""
        return self.pointwise(self.modulation.modulate(x, w))  # type: ignore[no-any-return]

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return inverse_haar(*split_bands(self.bands(x, w)))


class DeepWaveletHead(WaveletHead):
    """`WaveletHead` beside styled convolutions that stand for the levels that were cut off.

    What those levels make of the features, colour above all, needs their non-linearity. `widths` are the
    features after each hidden convolution; the picture is read from the first and the last of them too.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], resolution: int, code_size: int):
        super().__init__(in_channels, code_size)
        kinds: list[Kind] = ["pointwise" if i == 0 else "separable" for i in range(len(widths))]
        self.hidden = nn.ModuleList(
            StyledConv(c_in, c_out, resolution, kind=kind, code_size=code_size)
            for kind, (c_in, c_out) in zip(kinds, pairwise((in_channels, *widths)), strict=True)
        )
        self.middle = WaveletHead(widths[0], code_size)
        self.last = WaveletHead(widths[-1], code_size)

    def bands(self, x: Tensor, w: Tensor) -> Tensor:
        direct = super().bands(x, w)
        first, *others = self.hidden
        x = first(x, w)
        middle = self.middle.bands(x, w)
        for convolution in others:
            x = convolution(x, w)
        return direct + middle + self.last.bands(x, w)


class MobileStyleGAN(nn.Module):
    """The synthesis network: codes (B, n_codes, 512) → RGB (B, 3, R, R), about [-1, 1].

    `channels` are those at 4×4, 8×8, …; the image is twice the last level's resolution. `head_widths`: the
    hidden features of a `DeepWaveletHead`, none for the plain one.
    """

    def __init__(
        self, channels: Sequence[int], *, code_size: int, noise_resolution: int, head_widths: Sequence[int] = ()
    ):
        super().__init__()
        self.noise_resolution = noise_resolution
        self.input = nn.Parameter(torch.zeros(1, channels[0], 4, 4))
        self.conv1 = StyledConv(channels[0], channels[0], 4, kind="dense", code_size=code_size)
        self.levels = nn.ModuleList(
            Level(c_in, c_out, 8 << i, code_size) for i, (c_in, c_out) in enumerate(pairwise(channels))
        )
        resolution = 4 << len(self.levels)
        self.head = (
            DeepWaveletHead(channels[-1], head_widths, resolution, code_size)
            if head_widths
            else WaveletHead(channels[-1], code_size)
        )

    def level(self, index: int) -> Level:
        """The level at resolution 8·2^index; negative counts from the last."""
        level = self.levels[index]
        assert isinstance(level, Level)
        return level

    @property
    def n_codes(self) -> int:
        """How many W+ codes an image takes: one for 4×4, three a level."""
        return 3 * len(self.levels) + 1

    def features(self, codes: Tensor, noise: Tensor | None = None) -> Iterator[Tensor]:
        """The features after each level, lowest resolution first; `noise` enters at `noise_resolution`."""
        x = self.conv1(self.input.expand(codes.shape[0], -1, -1, -1), codes[:, 0])
        for i, level in enumerate(self.levels):
            n = noise if 8 << i == self.noise_resolution else None
            x = level(x, codes[:, 3 * i + 1], codes[:, 3 * i + 2], n)
            yield x

    def forward(self, codes: Tensor, noise: Tensor | None = None) -> Tensor:
        *_, x = self.features(codes, noise)
        return self.head(x, codes[:, self.n_codes - 1])  # type: ignore[no-any-return]


class MappingNetwork(nn.Module):
    """StyleGAN2's mapping network f: z (B, 512) → w (B, 512); pixel norm, then 8 × (linear, leaky ReLU, √2)."""

    def __init__(self, code_size: int, depth: int = 8):
        super().__init__()
        self.code_size = code_size
        self.layers = nn.ModuleList(nn.Linear(code_size, code_size) for _ in range(depth))

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), LEAK) * math.sqrt(2)
        return x
