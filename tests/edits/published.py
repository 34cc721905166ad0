"""Files as others publish edits, made by hand, and what they are to add to codes: written down a second time."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

SIZE = 512
CODES = 18
RANDOM = torch.Generator().manual_seed(3)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=RANDOM)


@dataclass(frozen=True)
class Example:
    """A file's name, what writes it, which component is meant, and codes (B, 18, 512) → Δ at the usual strength."""

    name: str
    write: Callable[[Path], None]
    edit: Callable[[Tensor], Tensor]
    kind: str
    component: int | None = None


def constant(direction: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda codes: direction.expand_as(codes)


class DenseLayer(nn.Module):
    """The Latent-Transformer's layer: weights at He's scale."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(SIZE, SIZE))
        self.bias = nn.Parameter(normal(SIZE))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight / np.sqrt(SIZE), self.bias)


class LatentTransformer(nn.Module):
    """One layer a code."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.ModuleList(DenseLayer() for _ in range(CODES))

    def forward(self, codes: Tensor) -> Tensor:
        return torch.stack([layer(code) for layer, code in zip(self.dense, codes.unbind(1), strict=True)], 1)


class EqualLinear(nn.Module):
    """StyleGAN2's layer with a learning rate multiplier of 0.01 and its leaky ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(SIZE, SIZE) / 0.01)
        self.bias = nn.Parameter(normal(SIZE) / 0.01)

    def forward(self, x: Tensor) -> Tensor:
        out = nn.functional.linear(x, self.weight * (0.01 / np.sqrt(SIZE))) + self.bias * 0.01
        return nn.functional.leaky_relu(out, 0.2) * 2**0.5


class PixelNorm(nn.Module):
    """Over dimension 1, which are the codes here."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class Mapper(nn.Module):
    """StyleCLIP's, for some codes."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Sequential(PixelNorm(), *(EqualLinear() for _ in range(4)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mapping(x)
        return out


class LevelsMapper(nn.Module):
    """StyleCLIP's, without the fine level."""

    def __init__(self) -> None:
        super().__init__()
        self.course_mapping = Mapper()
        self.medium_mapping = Mapper()

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.course_mapping(x[:, :4]), self.medium_mapping(x[:, 4:8]), torch.zeros_like(x[:, 8:])]
        return torch.cat(parts, 1)


class SingleMapper(nn.Module):
    """StyleCLIP's, for all codes."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = Mapper()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mapping(x)
        return out


def interfacegan() -> list[Example]:
    unit = nn.functional.normalize(normal(1, SIZE), dim=1)
    layerwise = 0.1 * normal(CODES, SIZE)
    plain = unit.numpy().astype(np.float64)
    return [
        Example("smile_boundary.npy", lambda p: np.save(p, plain), constant(3 * unit), "InterFaceGAN direction"),
        Example("age.pt", lambda p: torch.save(unit, p), constant(3 * unit), "InterFaceGAN direction"),
        Example("yaw.npy", lambda p: np.save(p, layerwise.numpy()), constant(layerwise), "layer-wise direction"),
        Example("eyes.pt", lambda p: torch.save(layerwise[None], p), constant(layerwise), "layer-wise direction"),
    ]


def components() -> list[Example]:
    comp, std, eigvec = normal(80, 1, SIZE), normal(80).abs() + 0.1, normal(SIZE, SIZE)
    pca = {"mean": normal(1, SIZE), "comp": comp, "std": std}
    kind = "GANSpace component"
    return [
        Example("ffhq_pca.pt", lambda p: torch.save(pca, p), constant(3 * comp[46] * std[46]), kind, 46),
        Example(
            "ffhq.npz",
            lambda p: np.savez(p, lat_comp=comp.numpy(), lat_stdev=std.numpy()),
            constant(3 * comp[7] * std[7]),
            kind,
            7,
        ),
        Example(
            "factor.pt",
            lambda p: torch.save({"ckpt": "ffhq.pt", "eigvec": eigvec}, p),
            constant(3 * eigvec[:, 5]),
            "SeFa eigenvector",
            5,
        ),
        Example("sefa.npy", lambda p: np.save(p, eigvec.numpy()), constant(3 * eigvec[9]), "component", 9),
    ]


def maps() -> list[Example]:
    transformer, levels, single = LatentTransformer(), LevelsMapper(), SingleMapper()
    options = argparse.Namespace(stylegan_size=1024, mapper_type="LevelsMapper")
    checkpoint = {
        "state_dict": {
            **{f"mapper.{name}": value for name, value in levels.state_dict().items()},
            "decoder.input.input": normal(1, 4, 4, 4),
        },
        "opts": options,
    }
    saved = {"n_epoch": 3, "T_net_state_dict": transformer.state_dict(), "opt_state_dict": {"state": {}}}
    kind = "Latent-Transformer"
    return [
        Example("tnet_31.pth.tar", lambda p: torch.save(transformer.state_dict(), p), transformer, kind),
        Example("checkpoint", lambda p: torch.save(saved, p), transformer, kind),
        Example("surprised.pt", lambda p: torch.save(checkpoint, p), lambda w: 0.1 * levels(w), "StyleCLIP mapper"),
        Example(
            "angry.pt", lambda p: torch.save(single.state_dict(), p), lambda w: 0.1 * single(w), "StyleCLIP mapper"
        ),
    ]
