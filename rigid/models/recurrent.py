"""The paper's recurrent encoder (Eq. 1): 7 convolutions, a ConvLSTM at 4×4, a fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.conv_lstm import ConvLSTM
from rigid.models.filters import blur

LEAK = 0.2


class FilteredConv(nn.Module):
    """Low-pass filter, 3×3 convolution of stride two, leaky ReLU: (B, c_in, H, W) → (B, c_out, H/2, W/2)."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.conv = _initialise(nn.Conv2d(c_in, c_out, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(blur(x, padding=2)), LEAK)


class RecurrentEncoder(nn.Module):
    """What the frames before tell about this one, as code offsets and a noise map n_t.

    The paper's activation is "Fused Leaky ReLU", a leaky ReLU times √2; the √2 is folded into weights and biases.
    n_t is the feature map that has its size. `widths`: channels at S², (S/2)², …, 4².
    """

    def __init__(self, *, widths: Sequence[int], noise_resolution: int, n_early: int, code_size: int):
        super().__init__()
        self.noise_resolution = noise_resolution
        self.n_early = n_early
        self.pointwise = _initialise(nn.Conv2d(12, widths[0], 1))
        self.downs = nn.ModuleList(FilteredConv(a, b) for a, b in pairwise(widths))
        self.lstm = ConvLSTM(widths[-1], widths[-1])
        self.fc = nn.Linear(widths[-1] * 16, n_early * code_size)
        # So that training starts from the image encoder's codes.
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, frames: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One step of Eq. 1.

        `frames` (B, 12, S, S): I_t, I_{t-1}, O_{t-1}, E_{t-1}, RGB in [-1, 1]; `hidden`, `cell` (B, C, 4, 4) of the
        step before, zeros at first. Returns the offsets to the early codes (B, n_early, code_size), the noise map
        n_t (B, C', r, r) at `noise_resolution` r, and the new `hidden` and `cell`.
        """
        x = F.leaky_relu(self.pointwise(frames), LEAK)
        for down in self.downs:
            x = down(x)
            if x.shape[-1] == self.noise_resolution:
                noise = x
        hidden, cell = self.lstm(x, hidden, cell)
        offsets = F.leaky_relu(self.fc(hidden.flatten(1)), LEAK)
        return offsets.unflatten(1, (self.n_early, -1)), noise, hidden, cell


def _initialise(conv: nn.Conv2d) -> nn.Conv2d:
    """`conv` with weights of StyleGAN2's scale, √2 included, and no bias."""
    assert conv.bias is not None
    nn.init.normal_(conv.weight, std=math.sqrt(2 / conv.weight[0].numel()))
    nn.init.zeros_(conv.bias)
    return conv
