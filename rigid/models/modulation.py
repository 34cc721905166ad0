"""How a style enters a generator: as scales of features' channels, made from a code."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Modulation(nn.Linear):
    """Scales A w + b of channels, (B, C), for codes w (B, code_size); the layer's gain is folded in."""

    def scales(self, w: Tensor) -> Tensor:
        """A w + b as (B, C, 1, 1), ready to multiply features with, in the type of `w`."""
        return pointwise(w[:, :, None, None], self.weight, self.bias)

    def modulate(self, x: Tensor, w: Tensor) -> Tensor:
        """`x` (B, C, H, W) with its channels scaled."""
        return x * self.scales(w).to(x.dtype)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear map of the channels of `x` (B, C, H, W): weight (D, C), bias (D,) → (B, D, H, W).

    As a convolution, since OpenVINO gives its answer channels last. It computes a sum or a product in the layout that
    most of its terms have, and a linear layer's scales, beside a fixed noise, made that channels first: features were
    turned over before and after every one, a sixth of the generator's time.
    """
    return F.conv2d(x, weight[:, :, None, None], bias)
