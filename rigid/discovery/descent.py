"""An edit that is the same for all faces, found by descent through the generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array
from rigid.discovery.directions import level_codes
from rigid.reporting import Say, say_nothing

LENGTH = 2e-3
"""Weight of the edit's length in the codes' own spread, squared."""
BATCH = 4

Judge = Callable[[Tensor, list[int], np.random.Generator], tuple[Tensor, str]]
"""Edited pictures (B, 3, S, S) in [-1, 1] and which faces they are of → what is to become less, and words on it."""


@dataclass(frozen=True)
class Descent:
    """Where to look for an edit, and how."""

    generator: Callable[[Tensor, list[int]], Tensor]
    """Codes (B, n_codes, 512), and which faces they are of → pictures."""
    levels: Sequence[int]
    """Those that the edit may use."""
    spread: Array
    """Covariance of a code, (512, 512): in its unit steps are taken."""
    steps: int
    rate: float = 0.02
    start: Array | None = None
    """The edit (n_codes, 512) that it begins with, the same for all codes of a level; None for nothing."""

    def run(self, codes: Tensor, judge: Judge, report: Say = say_nothing) -> Array:
        """The edit (n_codes, 512) of faces `codes` (N, n_codes, 512), a few at a time, that `judge` likes best."""
        values, vectors = np.linalg.eigh(self.spread)
        root = torch.from_numpy(np.asarray(vectors * np.sqrt(values.clip(0)), np.float32))
        steered = torch.zeros(len(self.levels), len(root))
        if self.start is not None:
            firsts = [level_codes(codes.shape[1])[level][0] for level in self.levels]
            steered = torch.linalg.lstsq(root, torch.from_numpy(self.start[firsts]).T).solution.T.contiguous()
        steered.requires_grad_()
        optimiser = torch.optim.Adam([steered], lr=self.rate)
        random = np.random.default_rng(0)
        for step, chosen in enumerate(_draw_batches(len(codes), self.steps, random), 1):
            edit = _spread_over(steered @ root.T, self.levels, codes.shape[1])
            with torch.autocast("cpu", torch.bfloat16):
                made = self.generator(codes[chosen] + edit, chosen)
            loss, words = judge(made.float(), chosen, random)
            optimiser.zero_grad()
            (loss + LENGTH * steered.square().sum()).backward()
            optimiser.step()
            report(f"step {step} of {self.steps}: {words}")
        found: Array = _spread_over(steered @ root.T, self.levels, codes.shape[1]).detach().numpy()
        return found


def _draw_batches(count: int, steps: int, random: np.random.Generator) -> Iterator[list[int]]:
    for _ in range(steps):
        yield random.choice(count, min(BATCH, count), replace=False).tolist()


def _spread_over(by_level: Tensor, levels: Sequence[int], n_codes: int) -> Tensor:
    """A move of each of `levels` as one of every code."""
    codes = level_codes(n_codes)
    level_of = {code: i for i, level in enumerate(levels) for code in codes[level]}
    nothing = torch.zeros_like(by_level[0])
    return torch.stack([by_level[level_of[code]] if code in level_of else nothing for code in range(n_codes)])
