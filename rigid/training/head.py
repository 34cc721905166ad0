"""A head for the cut generator before any training: from the levels that were cut off, and in closed form."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.mobile_stylegan import (
    DeepWaveletHead,
    MobileStyleGAN,
    StyledConv,
    WaveletHead,
    haar,
)
from rigid.models.modulation import Modulation


@torch.no_grad()
def inherit(head: DeepWaveletHead, teacher: MobileStyleGAN, codes: Tensor) -> None:
    """Fill the hidden part of `head` from the last levels of `teacher`, two convolutions a level.

    Where features hardly change from point to point their high bands vanish, and a level that doubles the
    resolution gives nearly the same on the mean of each 2×2 points. The modulations of an upsampling and of the
    convolution after it become one, refitted on `codes` (N, 512).
    """
    hidden = [module for module in head.hidden if isinstance(module, StyledConv)]
    first = len(teacher.levels) - len(hidden) // 2
    for i, (conv1, conv2) in enumerate(zip(hidden[::2], hidden[1::2], strict=True)):
        level = teacher.level(first + i)
        channels = conv1.modulation.out_features
        scale = 0.5 * level.up(codes)[:, :channels] * _in_bands(level.conv1.modulation(codes))[:, :channels]
        _refit(conv1.modulation, codes, scale)
        conv2.modulation.load_state_dict(level.conv2.modulation.state_dict())
        _copy_shrunk(conv1, level.conv1, 2 << i)
        _copy_shrunk(conv2, level.conv2, 2 << i)
    _silence(head.middle)
    head.last.load_state_dict(teacher.head.state_dict())
    # The teacher's low band is this head's low band too; of the high ones it knows nothing yet.
    head.last.pointwise.weight[3:] = 0
    _bias(head.last.pointwise)[3:] = 0


@torch.no_grad()
def solve_head(head: WaveletHead, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
    """Solve the 1×1 convolution of `head` for what its other parts leave over; modulation at one.

    `batches`: features (B, C, H, W), codes (B, 512), images (B, 3, 2H, 2W).
    """
    _silence(head)
    width = head.pointwise.in_channels + 1
    gram, moment = torch.zeros(width, width, dtype=torch.float64), torch.zeros(width, 12, dtype=torch.float64)
    for x, w, image in batches:
        low, high = haar(image)
        rest = torch.cat((low, high.flatten(1, 2)), 1) - head.bands(x, w)
        rows = torch.cat((x, torch.ones_like(x[:, :1])), 1).movedim(1, -1).reshape(-1, width)
        gram += (rows.T @ rows).double().cpu()
        moment += (rows.T @ rest.movedim(1, -1).reshape(-1, 12)).double().cpu()
    ridge = 1e-4 * gram.diagonal().mean() * torch.eye(width, dtype=torch.float64)
    solution = torch.linalg.solve(gram + ridge, moment).float()
    head.pointwise.weight.copy_(solution[:-1].T[:, :, None, None])
    _bias(head.pointwise).copy_(solution[-1])


def _in_bands(scale: Tensor) -> Tensor:
    """A convolution's `scale` (N, C) as it applies to the wavelet bands (N, 4C) before the upsampling."""
    return torch.cat((scale, scale.repeat_interleave(3, 1)), 1)


def _refit(modulation: Modulation, codes: Tensor, scales: Tensor) -> None:
    """Set `modulation` to the least-squares fit of `scales` (N, C) on `codes` (N, 512)."""
    mean, wanted = codes.mean(0), scales.mean(0)
    weight = torch.linalg.lstsq((codes - mean).double(), (scales - wanted).double()).solution.float()
    modulation.weight.copy_(weight.T)
    modulation.bias.copy_(wanted - mean @ weight)


def _copy_shrunk(ours: StyledConv, theirs: StyledConv, factor: int) -> None:
    """`theirs` for features at 1/`factor` of its resolution; inputs it does not know start at zero."""
    assert theirs.depthwise is not None
    kernel, weight = theirs.depthwise.weight, theirs.pointwise.weight
    known, outputs = len(kernel), ours.pointwise.out_channels
    if ours.depthwise is None:
        weight = weight * kernel.sum((1, 2, 3))[:, None, None]
    else:
        nn.init.zeros_(ours.depthwise.weight)
        ours.depthwise.weight[:, :, 1, 1] = 1
        ours.depthwise.weight[:known] = shrunk_kernel(kernel, factor)
    nn.init.zeros_(ours.pointwise.weight)
    ours.pointwise.weight[:, :known] = weight[:outputs]
    _bias(ours.pointwise).copy_(_bias(theirs.pointwise)[:outputs])
    ours.noise.copy_(F.avg_pool2d(theirs.noise, factor))


def shrunk_kernel(kernel: Tensor, factor: int) -> Tensor:
    """3×3 kernels (C, 1, 3, 3) that give the mean of what `kernel` makes of a picture enlarged by `factor`.

    Enlarged by repeating its points: all but the outermost rows of a block see one point alone.
    """
    edge = 1 / factor
    spread = kernel.new_tensor([[edge, 0, 0], [1 - edge, 1, 1 - edge], [0, 0, edge]])
    return spread @ kernel @ spread.T


def _silence(head: WaveletHead) -> None:
    """Let `head` add nothing, with its modulation at one."""
    nn.init.zeros_(head.modulation.weight)
    nn.init.ones_(head.modulation.bias)
    nn.init.zeros_(head.pointwise.weight)
    nn.init.zeros_(_bias(head.pointwise))


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias
