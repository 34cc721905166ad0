"""LPIPS (Zhang et al., 2018) on the shift-tolerant AlexNet of Ghildyal and Liu (2022)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ALEX_WIDTHS = (64, 192, 384, 256, 256)


class BlurPool(nn.Module):
    """Anti-aliased downsampling by two: reflect by two pixels, then a depthwise binomial 3×3 of stride two."""

    filt: Tensor

    def __init__(self, channels: int):
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("filt", (torch.outer(taps, taps) / 16).expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), self.filt, stride=2, groups=x.shape[1])


class ShiftTolerantAlexNet(nn.Module):
    """The five ReLU outputs of AlexNet whose strides are replaced by blur pooling."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d, e = ALEX_WIDTHS
        self.conv1 = nn.Conv2d(3, a, 11, padding=2)
        self.conv2 = nn.Conv2d(a, b, 5, padding=2)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.conv4 = nn.Conv2d(c, d, 3, padding=1)
        self.conv5 = nn.Conv2d(d, e, 3, padding=1)
        self.pool1, self.pool2, self.pool3 = BlurPool(a), BlurPool(a), BlurPool(b)

    def forward(self, x: Tensor) -> Iterator[Tensor]:
        x = F.relu(self._first(x))
        yield x
        x = F.relu(self.conv2(self.pool2(F.max_pool2d(x, 3, 1))))
        yield x
        x = F.relu(self.conv3(self.pool3(F.max_pool2d(x, 3, 1))))
        yield x
        x = F.relu(self.conv4(x))
        yield x
        yield F.relu(self.conv5(x))

    def _first(self, x: Tensor) -> Tensor:
        return self.pool1(self.conv1(x))  # type: ignore[no-any-return]


class FusedAlexNet(ShiftTolerantAlexNet):
    """The same net with the first convolution and its blur as one 13×13 convolution of stride two.

    A third of the work where it counts. Differs from the original only within two pixels of the border,
    which a loss can bear and a metric should not.
    """

    def _first(self, x: Tensor) -> Tensor:
        kernel = self.conv1.weight
        blurred = F.conv2d(kernel.flatten(0, 1)[:, None], self.pool1.filt[:1], padding=2)[:, 0].unflatten(
            0, kernel.shape[:2]
        )
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), blurred, self.conv1.bias, stride=2, padding=2)


class Lpips(nn.Module):
    """Distance between `x` and `y` (B, 3, H, W), RGB in [-1, 1], one value an image (B,)."""

    shift: Tensor
    scale: Tensor

    def __init__(self, net: ShiftTolerantAlexNet):
        super().__init__()
        self.net = net
        self.weights = nn.ParameterList(torch.zeros(1, width, 1, 1) for width in ALEX_WIDTHS)
        self.register_buffer("shift", torch.zeros(1, 3, 1, 1))
        self.register_buffer("scale", torch.ones(1, 3, 1, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        features = self.net((torch.cat((x, y)) - self.shift) / self.scale)
        distances = [self._layer(f, weight) for f, weight in zip(features, self.weights, strict=True)]
        return torch.stack(distances).sum(0)

    def _layer(self, features: Tensor, weight: Tensor) -> Tensor:
        features = features.float()
        unit = features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
        difference = torch.sub(*unit.chunk(2)).square()
        return (difference * weight).sum(1).mean((1, 2))


def convert_published(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published state dict (`net.slice…`, `lin….model.1.weight`) under this module's names."""
    names = {
        "scaling_layer.shift": "shift",
        "scaling_layer.scale": "scale",
        "net.slice1.1.filt": "net.pool1.filt",
        "net.slice2.4.filt": "net.pool2.filt",
        "net.slice3.8.filt": "net.pool3.filt",
    } | {f"lin{i}.model.1.weight": f"weights.{i}" for i in range(5)}
    for ours, theirs in zip((1, 2, 3, 4, 5), ("1.0", "2.5", "3.9", "4.11", "5.13"), strict=True):
        for kind in ("weight", "bias"):
            names[f"net.slice{theirs}.{kind}"] = f"net.conv{ours}.{kind}"
    return {ours: published[theirs] for theirs, ours in names.items()}
