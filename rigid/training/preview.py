"""A cheap half-size view of a generator: its levels up to the last but one, and a head solved for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rigid.models.mobile_stylegan import MobileStyleGAN, WaveletHead
from rigid.training.fast_inference import from_bytes
from rigid.training.head import solve_head
from rigid.training.pairs import Pairs


class Preview(nn.Module):
    """Codes (B, n_codes, 512) → RGB (B, 3, 128, 128), close to the halved image at a fifth of its cost."""

    def __init__(self, generator: MobileStyleGAN, pairs: Pairs, samples: int = 192):
        super().__init__()
        self.generator = generator
        level = len(generator.levels) - 2
        self.code = 3 * level + 3
        self.head = WaveletHead(generator.level(level).conv2.pointwise.out_channels, pairs.codes.shape[-1])
        chosen = range(0, min(samples, len(pairs.codes)), 8)
        batches = (
            (self._features(pairs.codes[i : i + 8].float()), from_bytes(pairs.images[i : i + 8])) for i in chosen
        )
        with torch.no_grad():
            solve_head(self.head, batches)
        self.requires_grad_(False)

    def forward(self, codes: Tensor) -> Tensor:
        return self.head(self._features(codes), codes[:, self.code])  # type: ignore[no-any-return]

    def _features(self, codes: Tensor) -> Tensor:
        last = len(self.generator.levels) - 2
        return next(x for i, x in enumerate(self.generator.features(codes)) if i == last)
