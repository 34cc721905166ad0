"""Faces that the generator draws, moving: clips of people who do not exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from rigid.arrays import Array, Pixels
from rigid.edits.library import AttributeLibrary
from rigid.fields import to_pixels
from rigid.models.contract import Runtime
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.training.codes import sample_codes
from rigid.training.walks import walk_codes


@dataclass(frozen=True)
class Generated:
    """What faces are drawn with."""

    runtime: Runtime
    library: AttributeLibrary
    mapping: MappingNetwork
    mean: torch.Tensor
    """The mean code (512,)."""

    def codes(self, count: int, seed: int, truncation: tuple[float, float] = (0.5, 1.0)) -> Array:
        """`count` faces (count, n_codes, 512), the same for the same seed; `truncation`: the range of ψ."""
        random = torch.Generator().manual_seed(seed)
        n_codes = self.runtime.sizes.n_codes
        drawn = sample_codes(self.mapping, self.mean, count, n_codes, random, truncation=truncation, mixing=0.0)
        return np.asarray(drawn.numpy(), np.float32)

    def picture(self, codes: Array) -> Pixels:
        """The face of `codes` (n_codes, 512), RGB (S, S, 3), aligned as FFHQ's are."""
        noise = np.zeros((1, *self.runtime.sizes.noise_shape), np.float32)
        drawn = to_pixels(self.runtime.synthesize(codes[None], noise)[0])
        return np.ascontiguousarray(drawn.transpose(1, 2, 0))

    def walk(self, codes: Array, frames: int, seed: int) -> Iterator[Pixels]:
        """`frames` pictures of the face of `codes`, which turns, talks and passes through light."""
        other = self.codes(1, seed)[0]
        random = np.random.default_rng(seed)
        for step in walk_codes(codes, other, frames, self.library, self.runtime.sizes.n_shared_codes, random):
            yield self.picture(step)
