"""What a stream shows of an edit, so that an edit can be found by descent through it.

`rigid.composite.compositor` and `rigid.composite.kept_features` in PyTorch, for faces that nothing lies before:
I + M · (1 - k) · (E + l - I), and over it the real features in the light that E gives them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from rigid.composite.compositor import CHANGE_SIGMA, COLOUR_SIGMA, NEIGHBOURS, UNCHANGED
from rigid.composite.kept_features import DARK, FEW, KEPT, MOST_GAIN, UNCOLOURED
from rigid.discovery.shots import Shots


def show(shots: Shots, chosen: list[int], edited: Tensor) -> Tensor:
    """The `chosen` faces (B, 3, S, S) with E, `edited`, drawn onto them."""
    real, inverted = shots.real[chosen], shots.inverted[chosen]
    size, small = real.shape[-1], shots.kept.shape[-1]
    seen, before, after = (_shrink(one, small) for one in (real, inverted, edited))
    colour = _blur(seen - before, COLOUR_SIGMA)
    fault = find_spread_difference(before + colour, seen)
    changed = 1 - (-(find_spread_difference(before, after) / (UNCHANGED + fault)).square()).exp()
    drawn = real + shots.face[chosen] * _grow(changed, size) * (edited + _grow(colour, size) - real)
    kept = _grow(shots.kept[chosen], size)
    return drawn + kept * ((real + 1) * _grow(_find_gain(shots, chosen, before, after), size) - 1 - drawn)


def _find_gain(shots: Shots, chosen: list[int], before: Tensor, after: Tensor) -> Tensor:
    """By how much each part of the real face is made lighter, of each colour, (B, 3, n, n)."""
    told = shots.told[chosen]
    old, new = (_light_of_parts(told, one + 1) for one in (before, after))
    gain = (new / old).clamp(1 / float(MOST_GAIN), float(MOST_GAIN))
    grey = torch.zeros(len(KEPT), 1)
    grey[UNCOLOURED] = 1
    gain = gain + grey * (gain.mean(2, keepdim=True) - gain)
    return 1 + torch.einsum("bkhw,bkc->bchw", shots.parts[chosen], gain - 1)


def _light_of_parts(told: Tensor, light: Tensor) -> Tensor:
    """The mean of `light` (B, 3, n, n) in each part (B, 5, n, n), nearer to the skin's the smaller it is, (B, 5, 3)."""
    sums, sizes = torch.einsum("bkhw,bchw->bkc", told, light), told.sum((2, 3))[..., None]
    skin = KEPT.index("ears")  # told by the skin
    mean = sums[:, skin : skin + 1] / (sizes[:, skin : skin + 1] + 1)
    return (sums + float(FEW) * mean) / (sizes + float(FEW)) + float(DARK)


def find_spread_difference(first: Tensor, second: Tensor) -> Tensor:
    """How much two pictures (B, 3, n, n) differ at each place or beside it, (B, 1, n, n)."""
    difference = (first - second).abs().amax(1, keepdim=True)
    return _blur(F.max_pool2d(difference, len(NEIGHBOURS), 1, len(NEIGHBOURS) // 2), CHANGE_SIGMA)


def _shrink(pictures: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(pictures, pictures.shape[-1] // size)


def _grow(pictures: Tensor, size: int) -> Tensor:
    return F.interpolate(pictures, size=size, mode="bilinear", align_corners=False)


def _blur(pictures: Tensor, sigma: float) -> Tensor:
    reach = math.ceil(4 * sigma)
    line = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    line = (line / line.sum()).repeat(pictures.shape[1], 1, 1, 1)
    padded = F.pad(pictures, (reach,) * 4, mode="reflect")
    across = F.conv2d(padded, line, groups=len(line))
    return F.conv2d(across, line.transpose(2, 3), groups=len(line))
