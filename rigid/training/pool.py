"""Generated faces with the codes they were made from, halved to 128²: kept in a folder by blocks, and ever more."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.arrays import Array, Pixels
from rigid.atomic_files import replacing
from rigid.fields import to_pixels
from rigid.models.mobile_stylegan import MobileStyleGAN
from rigid.training.draws import tone_group
from rigid.training.fast_inference import compile_network

BATCH = 8
"""Pictures rendered at once."""
BLOCK = 40
"""Faces of a file, a multiple of `BATCH`, where none other is asked for: what an interruption costs."""


class Halved(nn.Module):
    """A generator whose images come at half their size."""

    def __init__(self, generator: MobileStyleGAN):
        super().__init__()
        self.generator = generator

    def forward(self, codes: Tensor) -> Tensor:
        return F.avg_pool2d(self.generator(codes), 2)


class FacePool:
    """Faces that are there already, and those still to be made, drawn with all tones of skin about as often.

    Which faces a block holds follows from its number and `seed` alone: whoever grows a pool to the same size has the
    same faces, made now or found in the folder.
    """

    def __init__(
        self,
        folder: Path,
        draw: Callable[[int, int], Tensor],
        generator: MobileStyleGAN,
        seed: int,
        block: int = BLOCK,
        compiler: Callable[[nn.Module, Tensor], Callable[[Tensor], Array]] = compile_network,
    ):
        """`draw(count, seed)` gives codes (count, n_codes, 512); `folder` belongs to this draw, seed and `block`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.codes: list[NDArray[np.float16]] = []
        self.images: list[Pixels] = []
        self._tones: list[NDArray[np.intp]] = []
        self._draw, self._generator, self._seed, self._block = draw, generator, seed, block
        self._compile = compiler

    def __len__(self) -> int:
        return self._block * len(self.images)

    def grow(self, count: int) -> None:
        """Hold the first `count` faces, rounded up to whole blocks; those that are not kept are made now."""
        for number in range(len(self.images), -(-count // self._block)):
            path = self.folder / f"{number:06d}.npz"
            if not path.exists():
                self._make(number, path)
            with np.load(path) as block:
                self.codes.append(block["codes"])
                self.images.append(block["images"])
            pictures = self.images[-1].transpose(0, 2, 3, 1)
            self._tones.append(np.array([tone_group(picture) for picture in pictures]))

    def choose(self, random: np.random.Generator, count: int) -> list[int]:
        """Places of `count` faces: the tone of the skin evenly, the face evenly among those of that tone."""
        tones = np.concatenate(self._tones)
        groups = [np.flatnonzero(tones == tone) for tone in np.unique(tones)]
        return [int(random.choice(groups[random.integers(len(groups))])) for _ in range(count)]

    def picture(self, place: int) -> Pixels:
        """One face, RGB (128, 128, 3)."""
        return np.ascontiguousarray(self.images[place // self._block][place % self._block].transpose(1, 2, 0))

    def codes_of(self, places: list[int]) -> Tensor:
        """Codes (B, n_codes, 512) float32."""
        return torch.from_numpy(np.stack([self.codes[i // self._block][i % self._block] for i in places])).float()

    def _make(self, number: int, path: Path) -> None:
        codes = self._draw(self._block, self._seed + number).half()
        images = np.concatenate([to_pixels(self._render(batch)) for batch in codes.float().split(BATCH)])
        with replacing(path) as part:
            np.savez(part, codes=codes.numpy(), images=images)

    @cached_property
    def _render(self) -> Callable[[Tensor], Array]:
        return self._compile(Halved(self._generator), self._draw(BATCH, 0))
