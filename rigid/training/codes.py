"""Codes to train on: z through the mapping network, truncated, and mixed across the levels."""

from __future__ import annotations

import torch
from torch import Tensor

from rigid.models.mobile_stylegan import MappingNetwork

LEVEL_STARTS = (1, 4, 7, 10, 13)
"""The first code of every level: a style mix changes the codes from one of these on."""


@torch.no_grad()
def mean_of(mapping: MappingNetwork, samples: int, random: torch.Generator) -> Tensor:
    """The mean code (512,) over `samples` draws."""
    total = torch.zeros(mapping.code_size, dtype=torch.float64)
    for _ in range(0, samples, 4096):
        total += mapping(torch.randn(4096, total.numel(), generator=random)).double().sum(0)
    return (total / (4096 * -(-samples // 4096))).float()


@torch.no_grad()
def sample_codes(
    mapping: MappingNetwork,
    mean: Tensor,
    count: int,
    n_codes: int,
    random: torch.Generator,
    *,
    truncation: tuple[float, float] = (0.5, 1.0),
    mixing: float = 0.5,
) -> Tensor:
    """W+ codes (count, n_codes, 512); `truncation`: range of ψ, drawn per sample; `mixing`: share that is mixed."""
    w = mapping(torch.randn(2 * count, mean.numel(), generator=random))
    low, high = truncation
    psi = low + (high - low) * torch.rand(2 * count, 1, generator=random)
    first, second = (mean + psi * (w - mean)).chunk(2)
    choice = torch.randint(len(LEVEL_STARTS), (count,), generator=random)
    start = torch.tensor(LEVEL_STARTS)[choice]
    start[torch.rand(count, generator=random) >= mixing] = n_codes
    mixed = torch.arange(n_codes)[None] >= start[:, None]
    return torch.where(mixed[..., None], second[:, None], first[:, None])
