"""Generated faces with the codes they were made from, halved to 128² and kept in the run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.mobile_stylegan import MappingNetwork, MobileStyleGAN
from rigid.training.codes import sample_codes
from rigid.training.fast_inference import compiled, to_bytes

BATCH = 8
BLOCK = 400
Run = Callable[[Tensor], NDArray[np.float32]]


class PairOptions(Protocol):
    """What of a stage's options the pairs depend on."""

    @property
    def pairs(self) -> int:
        """How many."""

    @property
    def seed(self) -> int:
        """Seed of the codes."""


@dataclass(frozen=True)
class Pairs:
    """`codes` (N, n_codes, 512) float16 and `images` (N, 3, 128, 128) RGB uint8."""

    codes: Tensor
    images: NDArray[np.uint8]

    def picture(self, index: int) -> NDArray[np.uint8]:
        """One image as (128, 128, 3)."""
        return np.ascontiguousarray(self.images[index].transpose(1, 2, 0))


class Halved(nn.Module):
    """A generator whose images come at half their size."""

    def __init__(self, generator: MobileStyleGAN):
        super().__init__()
        self.generator = generator

    def forward(self, codes: Tensor) -> Tensor:
        return F.avg_pool2d(self.generator(codes), 2)


def generated_pairs(
    options: PairOptions, generator: MobileStyleGAN, mapping: MappingNetwork, mean: Tensor, folder: Path
) -> Pairs:
    """The run folder's pairs; made on the first call, by blocks, so that an interruption costs one block.

    `options.pairs` is a multiple of `BATCH`.
    """
    random = torch.Generator().manual_seed(options.seed + 1)
    codes = sample_codes(mapping, mean, options.pairs, generator.n_codes, random).half()
    blocks = folder / "pairs"
    blocks.mkdir(parents=True, exist_ok=True)
    run = compiled(Halved(generator), codes[:BATCH].float())
    starts = range(0, options.pairs, BLOCK)
    return Pairs(codes, np.concatenate([_block(run, codes[i : i + BLOCK], blocks / f"{i:06d}.npy") for i in starts]))


def _block(run: Run, codes: Tensor, path: Path) -> NDArray[np.uint8]:
    if path.exists():
        return np.asarray(np.load(path), np.uint8)
    images = np.concatenate([to_bytes(run(batch)) for batch in codes.float().split(BATCH)])
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.save(file, images)
    temporary.rename(path)
    return images
