"""Age and gender of a face: the published face-api net, a tiny Xception, rebuilt in PyTorch.

Used to label generated faces only; nothing it says reaches a user. The weights are stored as bytes with a scale
and a minimum each.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUT_SIZE = 112
MEAN_RGB = (122.782, 117.001, 104.298)
MAIN_BLOCKS = 2


def _halve(x: Tensor) -> Tensor:
    """`x` padded as the source's stride-2 layers pad an even size: after the last row and column only."""
    return F.pad(x, (0, 1, 0, 1), value=-math.inf)


class SeparableConv(nn.Module):
    """Depthwise 3×3, then pointwise 1×1 with a bias."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class ReductionBlock(nn.Module):
    """Two separable convolutions and max pooling, beside a 1×1 shortcut: (B, in, H, W) → (B, out, H/2, W/2)."""

    def __init__(self, in_channels: int, out_channels: int, *, activate_input: bool = True) -> None:
        super().__init__()
        self.activate_input = activate_input
        self.separable_conv0 = SeparableConv(in_channels, out_channels)
        self.separable_conv1 = SeparableConv(out_channels, out_channels)
        self.expansion_conv = nn.Conv2d(in_channels, out_channels, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.separable_conv0(F.relu(x) if self.activate_input else x)
        out = self.separable_conv1(F.relu(out))
        shortcut: Tensor = self.expansion_conv(x)
        return F.max_pool2d(_halve(out), 3, 2) + shortcut


class MainBlock(nn.Module):
    """Three separable convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.separable_conv0 = SeparableConv(channels, channels)
        self.separable_conv1 = SeparableConv(channels, channels)
        self.separable_conv2 = SeparableConv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for conv in (self.separable_conv0, self.separable_conv1, self.separable_conv2):
            out = conv(F.relu(out))
        return x + out


class AgeGenderNet(nn.Module):
    """RGB faces (B, 3, 112, 112), 0 to 255 → age in years (B,) and the logit of being male (B,)."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1), persistent=False)
        self.conv_in = nn.Conv2d(3, 32, 3, stride=2)
        self.reduction_block_0 = ReductionBlock(32, 64, activate_input=False)
        self.reduction_block_1 = ReductionBlock(64, 128)
        for i in range(MAIN_BLOCKS):
            self.add_module(f"main_block_{i}", MainBlock(128))
        self.reduction_block = ReductionBlock(128, 256)
        self.separable_conv = SeparableConv(256, 512)
        self.age = nn.Linear(512, 1)
        self.gender = nn.Linear(512, 2)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        x = F.pad((faces - self.mean) / 256.0, (0, 1, 0, 1))
        x = self.reduction_block_1(self.reduction_block_0(F.relu(self.conv_in(x))))
        for i in range(MAIN_BLOCKS):
            x = self.get_submodule(f"main_block_{i}")(x)
        x = F.relu(self.separable_conv(self.reduction_block(x))).mean((2, 3))
        male, female = self.gender(x).unbind(1)
        return self.age(x).squeeze(1), male - female


@dataclass(frozen=True)
class _Entry:
    """One tensor of the manifest."""

    name: str
    shape: tuple[int, ...]
    scale: float
    least: float
    quantised: bool

    @classmethod
    def of(cls, entry: dict[str, Any]) -> _Entry:
        quantization = entry.get("quantization", {})
        return cls(
            entry["name"],
            tuple(entry["shape"]),
            quantization.get("scale", 1.0),
            quantization.get("min", 0.0),
            bool(quantization),
        )

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * (1 if self.quantised else 4)

    def read(self, data: bytes) -> Tensor:
        stored = np.frombuffer(data, np.uint8 if self.quantised else np.float32).reshape(self.shape)
        value = stored.astype(np.float32)
        return torch.from_numpy(value * self.scale + self.least if self.quantised else value)


def read_weights(manifest_path: Path) -> dict[str, Tensor]:
    """The tensors a weights manifest names, float32, in the source's layout (height, width, in, out).

    The values lie in the `.bin` beside the manifest. Raises ValueError when the two do not belong together.
    """
    weights_path = manifest_path.with_name(manifest_path.name.replace("-weights_manifest.json", ".bin"))
    data = weights_path.read_bytes()
    entries = [_Entry.of(e) for group in json.loads(manifest_path.read_text("utf-8")) for e in group["weights"]]
    expected = sum(entry.n_bytes for entry in entries)
    if len(data) != expected:
        raise ValueError(f"{weights_path.name} has {len(data)} bytes, but its manifest names {expected}.")
    tensors: dict[str, Tensor] = {}
    offset = 0
    for entry in entries:
        tensors[entry.name] = entry.read(data[offset : offset + entry.n_bytes])
        offset += entry.n_bytes
    return tensors


def load_age_gender(manifest_path: Path) -> AgeGenderNet:
    """The net with its published weights, in eval mode."""
    network = AgeGenderNet()
    network.load_state_dict(dict(_rename(name, value) for name, value in read_weights(manifest_path).items()))
    return network.eval().requires_grad_(False)


def _rename(name: str, value: Tensor) -> tuple[str, Tensor]:
    """A tensor of the file under its name and in its layout here."""
    *path, kind = name.split("/")
    module = ".".join(path[1:])
    if kind == "weights":
        return f"{module}.weight", value.T
    if kind == "bias":
        holds_pointwise = path[-1].startswith("separable_conv")
        return f"{module}.pointwise.bias" if holds_pointwise else f"{module}.bias", value
    if kind == "depthwise_filter":
        return f"{module}.depthwise.weight", value.permute(2, 3, 0, 1)
    if kind == "pointwise_filter":
        return f"{module}.pointwise.weight", value.permute(3, 2, 0, 1)
    return f"{module}.weight", value.permute(3, 2, 0, 1)
