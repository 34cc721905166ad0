"""The generator's own measure of codes: how much a difference changes the styles it modulates with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rigid.models.mobile_stylegan import MappingNetwork, MobileStyleGAN
from rigid.models.modulation import Modulation

SAMPLES = 8192
"""Codes that the spread of the styles is measured on."""


class CodeMetric(nn.Module):
    """Mean squared difference of styles, in units of their variance over the generator's own samples.

    A code enters only through s = A w + b, so δᵀ Aᵀ V⁻¹ A δ says what a difference δ does; directions of W
    that change nothing cost nothing. Codes that no layer reads weigh nothing.
    """

    gram: Tensor

    def __init__(self, network: MobileStyleGAN, mapping: MappingNetwork, n_codes: int):
        super().__init__()
        random = torch.Generator().manual_seed(0)
        with torch.no_grad():
            z = torch.randn(SAMPLES, mapping.code_size, generator=random)
            w = mapping(z.to(network.input.device))
            grams = [self._gram(readers, w) for readers in _readers(network, n_codes)]
        self.register_buffer("gram", torch.stack(grams))
        self.read = sum(1 for readers in _readers(network, n_codes) if readers)

    @staticmethod
    def _gram(readers: list[Modulation], w: Tensor) -> Tensor:
        size = w.shape[1]
        if not readers:
            return torch.zeros(size, size, device=w.device)
        rows = torch.cat([_in_spreads(reader, w) for reader in readers])
        return rows.T @ rows / len(rows)

    def forward(self, codes: Tensor, others: Tensor) -> Tensor:
        """Codes (B, n_codes, 512) against others: one value, 2 for independent samples, 1 for the mean code."""
        delta = codes - others
        moved = torch.einsum("bni,nij->bnj", delta, self.gram)
        return (moved * delta).sum(2).sum(1).mean() / self.read


def _in_spreads(reader: Modulation, w: Tensor) -> Tensor:
    """A in units of the styles' spread; a style that hardly varies counts as varying by a twentieth of itself."""
    styles = reader(w)
    spread = torch.maximum(styles.std(0), 0.05 * styles.abs().mean(0))
    return reader.weight / spread[:, None]


def _readers(network: MobileStyleGAN, n_codes: int) -> list[list[Modulation]]:
    """For every code, the modulations that read it."""
    readers: list[list[Modulation]] = [[] for _ in range(n_codes)]
    readers[0].append(network.conv1.modulation)
    for i in range(len(network.levels)):
        level = network.level(i)
        readers[3 * i + 1] += [level.up, level.conv1.modulation]
        readers[3 * i + 2].append(level.conv2.modulation)
    readers[network.n_codes - 1].append(network.head.modulation)
    return readers
