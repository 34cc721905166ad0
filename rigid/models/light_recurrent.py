"""The light recurrent encoder (Eq. 1): what the frames before tell about this one, as code offsets and a noise map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.conv_lstm import ConvLSTM

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

LEAK = 0.2
PATCH = 4
LARGEST_CELL = 8.0
"""Gates never close fully, so that over hours a cell could wind up further than any training episode lets it."""


class LeakyConv(nn.Sequential):
    """Convolution and leaky ReLU, started so that the features keep their size."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1):
        convolution = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)
        nn.init.kaiming_normal_(convolution.weight, LEAK)
        assert convolution.bias is not None
        nn.init.zeros_(convolution.bias)
        super().__init__(convolution, nn.LeakyReLU(LEAK))


class Bottleneck(nn.Module):
    """A residual 3×3 convolution at half the width, which starts as nothing."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(LeakyConv(channels, half, 1), LeakyConv(half, half, 3))
        self.out = _silent(nn.Conv2d(half, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.body(x))  # type: ignore[no-any-return]


class Detail(nn.Module):
    """Frames (B, 12, S, S) → features (B, width, S/8, S/8) that have seen every pixel at full resolution."""

    def __init__(self, stem: int, width: int):
        super().__init__()
        self.stem = LeakyConv(12 * PATCH**2, stem, 1)
        self.down = LeakyConv(stem, width, 3, 2)
        self.refine = Bottleneck(width)

    def forward(self, frames: Tensor) -> Tensor:
        convolution, leaky = self.stem[0], self.stem[1]
        assert isinstance(convolution, nn.Conv2d)
        # The 1×1 convolution of what `pixel_unshuffle` gives, without putting the pixels in another order for it.
        weight = convolution.weight.view(convolution.out_channels, -1, PATCH, PATCH)
        x = leaky(F.conv2d(frames, weight, convolution.bias, stride=PATCH))
        return self.refine(self.down(x))  # type: ignore[no-any-return]


class NoiseHead(nn.Module):
    """n_t (B, noise, R, R) from the detail, a map of half its side, and the hidden state: detail in its context."""

    def __init__(self, width: int, middle: int, hidden: int, noise: int):
        super().__init__()
        self.from_hidden = nn.Conv2d(hidden, middle, 1)
        self.from_middle = nn.Conv2d(middle, width, 1)
        self.refine = Bottleneck(width)
        self.out = _silent(nn.Conv2d(width, noise, 1))

    def forward(self, detail: Tensor, middle: Tensor, hidden: Tensor) -> Tensor:
        context = F.leaky_relu(middle + _resize(self.from_hidden(hidden), middle), LEAK)
        x = F.leaky_relu(detail + _resize(self.from_middle(context), detail), LEAK)
        return self.out(self.refine(x))  # type: ignore[no-any-return]


class LightRecurrentEncoder(nn.Module):
    """The paper's recurrent encoder with the same parts, for a laptop: convolutions, ConvLSTM at 4×4, FC, noise map.

    Offsets and noise are exactly zero until trained, so that training starts from the image encoder.

    `stem`: width at S/4; `widths`: those at S/8, S/16, …, the last is the ConvLSTM's too and lies at `hidden_size`².
    `squeeze`: width of what the FC reads at each of these places.
    """

    def __init__(
        self,
        *,
        stem: int,
        widths: Sequence[int],
        squeeze: int,
        hidden_size: int,
        noise_channels: int,
        n_early: int,
        code_size: int,
    ):
        super().__init__()
        width, middle, last = widths[0], widths[1], widths[-1]
        self.n_early = n_early
        self.detail = Detail(stem, width)
        self.downs = nn.ModuleList(LeakyConv(a, b, 3, 2) for a, b in pairwise(widths))
        self.lstm = ConvLSTM(last, last)
        self.squeeze = LeakyConv(last, squeeze, 1)
        self.fc = _silent(nn.Linear(squeeze * hidden_size**2, n_early * code_size))
        self.noise = NoiseHead(width, middle, last, noise_channels)

    def forward(self, frames: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One step of Eq. 1.

        `frames` (B, 12, S, S): I_t, I_{t-1}, O_{t-1}, E_{t-1}, RGB in [-1, 1]; `hidden`, `cell` (B, C, h, h) of the
        step before, zeros at first. Returns the offsets to the early codes (B, n_early, code_size), the noise map
        n_t (B, noise_channels, S/8, S/8), and the new `hidden` and `cell`.
        """
        detail = self.detail(frames)
        maps = [detail]
        for down in self.downs:
            maps.append(down(maps[-1]))
        hidden, cell = self.lstm(maps[-1], hidden, cell)
        cell = cell.clamp(-LARGEST_CELL, LARGEST_CELL)
        offsets = self.fc(self.squeeze(hidden).flatten(1)).unflatten(1, (self.n_early, -1))
        return offsets, self.noise(detail, maps[1], hidden), hidden, cell


def _silent(layer: Layer) -> Layer:
    """`layer` with an output of exactly zero."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
