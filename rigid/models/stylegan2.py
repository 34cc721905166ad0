"""StyleGAN2's synthesis network (Karras et al., 2020) with the noise map n_t at one resolution.

A style scales the activations before a convolution and the demodulation scales them after it, so that all images
of a batch share one weight. That is as fast as weights made for every image (two images, two CPU cores: 522 ms
against 524 for 128 channels at 256², 113 against 97 for 512 at 32²), and engines get constant weights. What is
constant is folded into them: the scales of equalised learning rates and the √2 that follows every leaky ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.filters import blur, spread, upsample
from rigid.models.modulation import Modulation, pointwise

LEAK = 0.2
GAIN = math.sqrt(2)
"""What StyleGAN2 multiplies by after a leaky ReLU; here it is applied before."""


class StyledConv(nn.Module):
    """Modulated 3×3 convolution, demodulation, noise, bias, leaky ReLU; `up` doubles the resolution first.

    `noise_channels`: 1, or the layer's own number where every channel has its own fixed noise.
    """

    noise: Tensor

    def __init__(self, c_in: int, c_out: int, side: int, code_size: int, *, up: bool = False, noise_channels: int = 1):
        super().__init__()
        self.up = up
        self.modulation = Modulation(code_size, c_in)
        self.weight = nn.Parameter(torch.randn(c_out, c_in, 3, 3) / math.sqrt(9 * c_in))
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.strength = nn.Parameter(torch.zeros(1))
        self.register_buffer("noise", torch.randn(1, noise_channels, side, side))
        nn.init.normal_(self.modulation.weight, std=code_size**-0.5)
        nn.init.ones_(self.modulation.bias)

    def forward(self, x: Tensor, w: Tensor, n: Tensor | None = None) -> Tensor:
        """`x` (B, c_in, H, W), `w` (B, code_size), `n` (B, c_out, H, W): a noise map in place of the fixed noise."""
        s = self.modulation.scales(w)
        # a power, since TensorRT's parser knows no reciprocal, which a reciprocal root becomes in ONNX
        d = (pointwise(s.square(), self.weight.square().sum((2, 3))) + 1e-8).pow(-0.5) * GAIN
        x = self._convolve(x * s) * d + self.bias[:, None, None]
        return F.leaky_relu(x + self.strength * (self.noise if n is None else n), LEAK)

    def _convolve(self, x: Tensor) -> Tensor:
        if not self.up:
            return F.conv2d(x, self.weight, padding=1)
        # Three of four taps would meet zeros if the pixels were spread out first.
        return blur(spread(x, self.weight.transpose(0, 1)), padding=1, gain=4.0)


class ToRGB(nn.Module):
    """Features (B, C, H, W) → RGB (B, 3, H, W): a modulated 1×1 convolution without demodulation."""

    def __init__(self, c_in: int, code_size: int):
        super().__init__()
        self.modulation = Modulation(code_size, c_in)
        self.pointwise = nn.Conv2d(c_in, 3, 1)
        nn.init.normal_(self.modulation.weight, std=code_size**-0.5)
        nn.init.ones_(self.modulation.bias)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.pointwise(self.modulation.modulate(x, w))  # type: ignore[no-any-return]


class StyleGAN2(nn.Module):
    """Codes (B, n_codes, code_size) → RGB (B, 3, R, R), about [-1, 1].

    `channels` are those at 4×4, 8×8, …, R×R. Layer i, counted over all resolutions, takes code i; the image layer
    of a resolution shares its code with the first layer of the next.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        code_size: int,
        noise_resolution: int,
        per_channel_noise: bool = False,
    ):
        super().__init__()
        self.noise_resolution = noise_resolution
        self.n_codes = 2 * len(channels)
        self.input = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        shapes = [(channels[0], channels[0], 4, False)]
        for i, (c_in, c_out) in enumerate(pairwise(channels)):
            shapes += [(c_in, c_out, 8 << i, True), (c_out, c_out, 8 << i, False)]
        self.convs = nn.ModuleList(
            StyledConv(a, b, side, code_size, up=up, noise_channels=b if per_channel_noise else 1)
            for a, b, side, up in shapes
        )
        self.to_rgbs = nn.ModuleList(ToRGB(channel, code_size) for channel in channels)

    def forward(self, codes: Tensor, noise: Tensor | None = None) -> Tensor:
        """`noise`: the map n_t (B, C, r, r), which takes the place of the fixed noise at `noise_resolution` r."""
        x = self.convs[0](self.input.expand(codes.shape[0], -1, -1, -1), codes[:, 0])
        image: Tensor = self.to_rgbs[0](x, codes[:, 1])
        for i, to_rgb in enumerate(self.to_rgbs[1:]):
            n = noise if 8 << i == self.noise_resolution else None
            for layer in (2 * i + 1, 2 * i + 2):
                x = self.convs[layer](x, codes[:, layer], n)
            image = to_rgb(x, codes[:, 2 * i + 3]) + upsample(image)
        return image
