"""Directions in the code space that change one measure of a face and hold others still."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rigid.arrays import Array

SHRINKAGES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Ridge penalties tried, in multiples of the mean variance of a feature."""
HELD_OUT_SHARE = 0.2
PRESENCES = frozenset({"glasses", "beard", "mustache", "bangs", "bald"})
"""Measures that say whether something is there: their order among faces without it means nothing."""
SHARED = 0.5
"""Weight of what the levels share beside what each does by itself."""


def level_codes(n_codes: int) -> list[list[int]]:
    """The codes of each level that shape the image: [0] for 4×4, then two a level, at last with the head's."""
    levels = [[0], *([first, first + 1] for first in range(1, n_codes - 1, 3))]
    levels[-1].append(n_codes - 1)
    return levels


@dataclass(frozen=True)
class Gradients:
    """How the measures change with the codes, fitted linearly; measures are in standard deviations.

    `slopes` (M, L, D): change of each measure per unit of each level's code. `spread` (D, D): covariance of a
    code. `r2` (M,): share of each measure's variance explained on samples held out of the fit.
    """

    measures: tuple[str, ...]
    slopes: NDArray[np.float64]
    spread: NDArray[np.float64]
    r2: NDArray[np.float64]


def normal_scores(values: Array) -> Tensor:
    """Each column of `values` (N, M) by rank on a normal distribution, float64: skewed measures become usable."""
    ranks = torch.from_numpy(values.argsort(0, kind="stable").argsort(0)).double()
    scores: Tensor = torch.special.ndtri((ranks + 0.5) / len(values))
    return scores


def fit_gradients(codes: Array, measures: Array, names: Sequence[str], seed: int) -> Gradients:
    """Ridge regression of the measures (N, M) on the codes (N, n_codes, D) of each level.

    A slope is a part that all levels share and one of its own, so that levels which few samples tell apart take
    after each other. The penalty is chosen for each measure on samples held out, then the fit is made again on all.
    """
    firsts = [level[0] for level in level_codes(codes.shape[1])]
    x = torch.from_numpy(codes[:, firsts]).double()
    x = x - x.mean(0)
    y = normal_scores(measures)
    for column in [i for i, name in enumerate(names) if name in PRESENCES]:
        y[:, column] = _standardise(torch.from_numpy(measures[:, column]).double())
    features = torch.cat((SHARED * x.sum(1), x.flatten(1)), 1)
    penalties, r2 = _choose_penalties(features, y, torch.Generator().manual_seed(seed))
    weights = torch.empty(features.shape[1], y.shape[1], dtype=torch.float64)
    for penalty in set(penalties):
        chosen = [i for i, p in enumerate(penalties) if p == penalty]
        weights[:, chosen] = next(_ridge(features, y[:, chosen], (penalty,)))
    shared, own = weights[: x.shape[2]], weights[x.shape[2] :]
    slopes = own.reshape(len(firsts), x.shape[2], -1) + SHARED * shared
    spread = torch.cov(x.flatten(0, 1).T)
    return Gradients(tuple(names), slopes.permute(2, 0, 1).numpy(), spread.numpy(), r2)


def _standardise(column: Tensor) -> Tensor:
    return (column - column.mean()) / column.std().clamp_min(1e-9)


def _ridge(features: Tensor, y: Tensor, penalties: Iterable[float]) -> Iterator[Tensor]:
    """The weights (F, M) for each penalty, solved over samples or over features, whichever are fewer."""
    dual = len(features) < features.shape[1]
    gram = features @ features.T if dual else features.T @ features
    unit = features.square().sum() / features.shape[1]
    for penalty in penalties:
        factor = torch.linalg.cholesky(gram + penalty * unit * torch.eye(len(gram), dtype=gram.dtype))
        solved = torch.cholesky_solve(y if dual else features.T @ y, factor)
        yield features.T @ solved if dual else solved


def _choose_penalties(features: Tensor, y: Tensor, random: torch.Generator) -> tuple[list[float], NDArray[np.float64]]:
    """For each measure the penalty that explains most of the held-out samples, and how much it explains."""
    order = torch.randperm(len(features), generator=random)
    held, kept = (
        order[: max(1, round(HELD_OUT_SHARE * len(order)))],
        order[max(1, round(HELD_OUT_SHARE * len(order))) :],
    )
    variance = y[held].var(0, correction=0).clamp_min(1e-12)
    scores = []
    for weights in _ridge(features[kept], y[kept], SHRINKAGES):
        error = y[held] - features[held] @ weights
        scores.append(1 - error.square().mean(0) / variance)
    table = torch.stack(scores)
    return [SHRINKAGES[i] for i in table.argmax(0)], table.max(0).values.numpy()


def solve_direction(
    gradients: Gradients, aims: Mapping[str, float], levels: Sequence[int], naturalness: float
) -> NDArray[np.float64]:
    """The shortest move (L, D) of the codes of `levels` that changes each measure of `aims` by its value.

    An aim of 0 holds a measure still: InterFaceGAN's conditional manipulation, for all conditions at once. With G
    the slopes and a the aims, d = C Gᵀ (G C Gᵀ)⁻¹ a. `naturalness` 0…1 sets C between the identity and the
    codes' covariance: what counts as short is then a move that codes often make. Levels outside `levels` stay 0.
    """
    rows = [gradients.measures.index(name) for name in aims]
    slopes = gradients.slopes[rows][:, list(levels)]
    metric = _power(gradients.spread, naturalness)
    moved = slopes @ metric
    inner = np.einsum("ald,bld->ab", slopes, moved)
    # a control that cannot be told from the target would blow the solution up: damp it
    inner += 1e-6 * np.trace(inner) / len(rows) * np.eye(len(rows))
    direction = np.zeros(gradients.slopes.shape[1:])
    direction[list(levels)] = np.einsum("a,ald->ld", np.linalg.solve(inner, list(aims.values())), moved)
    return direction


def _power(spread: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """A power of a covariance, scaled to mean eigenvalue 1."""
    values, vectors = np.linalg.eigh(spread)
    powered = np.clip(values, 0, None) ** exponent
    raised: NDArray[np.float64] = (vectors * (powered / powered.mean())) @ vectors.T
    return raised


def spread_over_codes(direction: NDArray[np.float64], n_codes: int) -> Array:
    """A direction by level (L, D) as one by code, float32 (n_codes, D)."""
    edit = np.zeros((n_codes, direction.shape[1]), np.float32)
    for level, codes in enumerate(level_codes(n_codes)):
        edit[codes] = direction[level]
    return edit
