"""The expression of a face: the published face-api net, four dense blocks, rebuilt in PyTorch.

Used to label generated faces only, as `age_gender` is, whose weights lie in the same format.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.age_gender import MEAN_RGB, SeparableConv, read_weights

EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
WIDTHS = (32, 64, 128, 256)


def _convolve_by_two(convolution: nn.Module, x: Tensor) -> Tensor:
    """A 3×3 convolution with stride 2, padded as its source pads an even size: after the last row and column only."""
    if isinstance(convolution, nn.Conv2d):
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), convolution.weight, convolution.bias, stride=2)
    assert isinstance(convolution, SeparableConv)
    depthwise = convolution.depthwise
    x = F.conv2d(F.pad(x, (0, 1, 0, 1)), depthwise.weight, stride=2, groups=depthwise.groups)
    stepped: Tensor = convolution.pointwise(x)
    return stepped


class DenseBlock(nn.Module):
    """Four convolutions, each fed with the sum of all before it: (B, in, H, W) → (B, out, H/2, W/2)."""

    def __init__(self, in_channels: int, out_channels: int, *, first: bool) -> None:
        super().__init__()
        self.conv0: nn.Module = (
            nn.Conv2d(in_channels, out_channels, 3) if first else SeparableConv(in_channels, out_channels)
        )
        self.conv1, self.conv2, self.conv3 = (SeparableConv(out_channels, out_channels) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        total = F.relu(_convolve_by_two(self.conv0, x))
        for convolution in (self.conv1, self.conv2, self.conv3):
            total = total + convolution(F.relu(total))
        return F.relu(total)


class ExpressionNet(nn.Module):
    """RGB faces (B, 3, 112, 112), 0 to 255 → logits (B, 7) in the order of `EXPRESSIONS`."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1), persistent=False)
        inputs = (3, *WIDTHS[:-1])
        self.dense = nn.ModuleList(
            DenseBlock(c_in, c_out, first=i == 0) for i, (c_in, c_out) in enumerate(zip(inputs, WIDTHS, strict=True))
        )
        self.fc = nn.Linear(WIDTHS[-1], len(EXPRESSIONS))

    def forward(self, faces: Tensor) -> Tensor:
        x = (faces - self.mean) / 255.0
        for block in self.dense:
            x = block(x)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def load_expression(manifest_path: Path) -> ExpressionNet:
    """The net with its published weights, in eval mode."""
    network = ExpressionNet()
    network.load_state_dict(dict(_rename(name, value) for name, value in read_weights(manifest_path).items()))
    return network.eval().requires_grad_(False)


def _rename(name: str, value: Tensor) -> tuple[str, Tensor]:
    """A published tensor's name and value as this net has them."""
    *path, kind = name.split("/")
    module = ".".join(path).replace("dense", "dense.")
    if kind == "weights":
        return f"{module}.weight", value.T
    if kind == "filters":
        return f"{module}.weight", value.permute(3, 2, 0, 1)
    if kind == "depthwise_filter":
        return f"{module}.depthwise.weight", value.permute(2, 3, 0, 1)
    if kind == "pointwise_filter":
        return f"{module}.pointwise.weight", value.permute(3, 2, 0, 1)
    # the bias of a separable convolution is added after its pointwise half
    plain = name.startswith(("fc", "dense0/conv0"))
    return (f"{module}.bias" if plain else f"{module}.pointwise.bias"), value
