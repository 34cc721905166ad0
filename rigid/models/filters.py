"""The low-pass filter of StyleGAN2's up- and downsampling: the binomial (1, 3, 3, 1) along both axes.

The filter is separable, but both axes are done at once: a pass over 256² features costs more than the taps it
saves (128 channels at 257², two images, two CPU cores: 157 ms in one pass and 409 ms in two; channels last, 62 and
103).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TAPS = (0.125, 0.375, 0.375, 0.125)


def blur(x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
    """`x` (B, C, H, W) with `padding` zeros around it, filtered: (B, C, H + 2·padding − 3, W + 2·padding − 3)."""
    return F.conv2d(x, _kernel(x, gain), padding=padding, groups=x.shape[1])


def upsample(x: Tensor) -> Tensor:
    """`x` (B, C, H, W) at twice its size: zeros between the pixels, filtered so that its mean stays."""
    return spread(x, _kernel(x, 4.0), padding=1, groups=x.shape[1])


def spread(x: Tensor, weight: Tensor, padding: int = 0, groups: int = 1) -> Tensor:
    """`F.conv_transpose2d` with stride 2; of bfloat16 in float32, as TensorRT has none in bfloat16."""
    wide = torch.float32 if x.dtype == torch.bfloat16 else x.dtype
    answer = F.conv_transpose2d(x.to(wide), weight.to(wide), stride=2, padding=padding, groups=groups)
    return answer.to(x.dtype)


def _kernel(like: Tensor, gain: float) -> Tensor:
    """The filter for every channel of `like` by itself, (C, 1, 4, 4)."""
    taps = torch.tensor(TAPS, dtype=like.dtype, device=like.device)
    return (torch.outer(taps, taps) * gain).expand(like.shape[1], 1, -1, -1)
