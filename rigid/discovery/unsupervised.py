"""Directions found without labels: SeFa (Shen and Zhou, 2021) and GANSpace (Härkönen et al., 2020).

Nobody knows beforehand what they change: a contact sheet of each is written to name it from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rigid.arrays import Array
from rigid.atomic_files import replacing
from rigid.discovery.directions import level_codes, spread_over_codes
from rigid.discovery.samples import Studio
from rigid.discovery.sheet import contact_sheet, write_sheet
from rigid.models.mobile_stylegan import MappingNetwork, MobileStyleGAN
from rigid.models.modulation import Modulation

SPANS = ((0, 0), (1, 2), (3, 4))
"""Levels explored together: pose, shape and expression, colours."""
DEVIATIONS = (-3.0, -1.5, 0.0, 1.5, 3.0)
"""Strengths of a sheet's columns, in standard deviations of the codes along a direction."""


def modulations(generator: MobileStyleGAN, level: int) -> list[Modulation]:
    """The modulations that the codes of `level` (0 is 4×4) feed."""
    if level == 0:
        return [generator.conv1.modulation]
    part = generator.level(level - 1)
    return [part.up, part.conv1.modulation, part.conv2.modulation]


def sefa(generator: MobileStyleGAN, levels: Sequence[int], count: int) -> NDArray[np.float64]:
    """The `count` unit directions (count, 512) that change the features of `levels` most.

    With A the stacked modulation weights, each column scaled to length 1 as the authors do, they are the first
    eigenvectors of AᵀA.
    """
    parts = [modulation.weight for level in levels for modulation in modulations(generator, level)]
    # each output channel counts alike, however large its gain
    stacked = torch.cat([part / part.norm(dim=1, keepdim=True).clamp_min(1e-9) for part in parts]).double()
    _, vectors = torch.linalg.eigh(stacked.T @ stacked)
    directions: NDArray[np.float64] = vectors.flip(1).T[:count].numpy()
    return directions


def ganspace(codes: Tensor, count: int) -> NDArray[np.float64]:
    """The first `count` principal components (count, 512), unit, of codes (N, 512)."""
    _, vectors = torch.linalg.eigh(torch.cov(codes.double().T))
    directions: NDArray[np.float64] = vectors.flip(1).T[:count].numpy()
    return directions


@torch.no_grad()
def single_codes(mapping: MappingNetwork, count: int, seed: int) -> Tensor:
    """`count` codes (N, 512) of the mapping network, as they come."""
    random = torch.Generator().manual_seed(seed)
    draws = [torch.randn(min(4096, count - i), mapping.code_size, generator=random) for i in range(0, count, 4096)]
    return torch.cat([mapping(z) for z in draws])


def explore(
    method: str,
    studio: Studio,
    generator: MobileStyleGAN,
    codes: Tensor,
    faces: Array,
    *,
    count: int,
    out: Path,
) -> Iterator[Path]:
    """Write `count` directions for each of `SPANS` into `out`: an `.npy` (n_codes, 512) and a contact sheet each.

    `method`: "sefa" or "ganspace". `codes` (N, 512) give the length: one standard deviation along the direction.
    `faces` (F, n_codes, 512) are shown. Yields the sheets' paths as they are written.
    """
    for first, last in SPANS:
        levels = range(first, last + 1)
        directions = sefa(generator, levels, count) if method == "sefa" else ganspace(codes, count)
        for i, direction in enumerate(directions):
            length = float((codes.double() @ torch.from_numpy(direction)).std())
            edit = over_levels(np.float64(length) * direction, levels, faces.shape[1])
            name = f"{method}-levels-{first}-{last}-{i:02d}"
            out.mkdir(parents=True, exist_ok=True)
            with replacing(out / f"{name}.npy") as part:
                np.save(part, edit)
            write_sheet(out / f"{name}.jpg", contact_sheet(studio, faces, _make_scaling(edit), DEVIATIONS, 128))
            yield out / f"{name}.jpg"


def over_levels(direction: NDArray[np.float64], levels: Sequence[int], n_codes: int) -> Array:
    """Put one direction (512,) on the codes of `levels`, float32 (n_codes, 512)."""
    by_level = np.zeros((len(level_codes(n_codes)), direction.size))
    by_level[list(levels)] = direction
    return spread_over_codes(by_level, n_codes)


def _make_scaling(edit: Array) -> Callable[[float], Array]:
    return lambda strength: np.float32(strength) * edit
