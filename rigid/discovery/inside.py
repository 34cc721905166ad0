"""An edit that changes what a face itself shows, and not the hair round it: found by descent through the generator.

What the labelled samples know of being male is hair first of all, which a stream leaves as it is; a slope fitted to
them draws strands on cheeks. Here the edit d, the same for all faces, is what the classifier is shown by the face's
inside alone. With x = G(w), y = G(w + d), M the feathered oval and c the male log odds of M·y + (1 - M)·x it minimises

    softplus(c + MARGIN) + what y changes outside M, inside it, of the mouth's brightness, of age and of expression,

over faces that c calls male, each seen a little displaced and mirrored, so that no pattern is found that only fools it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rigid.arrays import Array
from rigid.discovery.descent import Descent
from rigid.discovery.sitters import Sitters
from rigid.models.age_gender import INPUT_SIZE
from rigid.reporting import Say, say_nothing

MARGIN = 1.0
"""Log odds beyond which a face that has changed sides pulls no more."""
OUTSIDE, INSIDE, MOUTH, AGE, EXPRESSION = 8.0, 1.0, 3.0, 0.3, 0.3
"""Weights: of changed pixels outside the face, in it, and of the mouth's brightness, without which faces smile; of ages
in decades squared and of the expressions' cross entropy."""
GRAIN = 4
"""Pixels averaged before what is inside is compared."""
DISPLACED, RESIZED = 3.0, 0.05
"""Standard deviations of how faces are seen: pixels, and share of the square's side."""


class Critics(NamedTuple):
    """RGB faces (B, 3, 112, 112), 0 to 255 → ages (B,) and male log odds (B,); → logits of expressions (B, n)."""

    age_gender: Callable[[Tensor], tuple[Tensor, Tensor]]
    expression: Callable[[Tensor], Tensor]


def find_inside(descent: Descent, critics: Critics, sitters: Sitters, report: Say = say_nothing) -> Array:
    """The edit (n_codes, 512) by which the faces of `sitters`, all male to the critics, are so no more."""

    def judge(made: Tensor, chosen: list[int], random: np.random.Generator) -> tuple[Tensor, str]:
        odds, cost = _judge(made, sitters, chosen, critics, random)
        words = f"male log odds {odds.mean().item():+.2f}, side effects {cost.item():.2f}"
        return F.softplus(odds + MARGIN).mean() + cost, words

    return descent.run(sitters.codes, judge, report)


def _judge(
    made: Tensor, sitters: Sitters, chosen: list[int], critics: Critics, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Male log odds (B,) of the faces with their insides replaced, and what else that costs."""
    before, inside, mouths = (part[chosen] for part in (sitters.pictures, sitters.inside, sitters.mouths))
    change = made - before
    look = _draw_look(sitters.squares[chosen], before.shape[-1], random)
    seen, real = look(before + inside * change), look(before)
    ages, odds = critics.age_gender(seen)
    with torch.no_grad():
        real_ages, _ = critics.age_gender(real)
        expressions = critics.expression(real).softmax(1)
    others = (expressions * (expressions.clamp_min(1e-6).log() - critics.expression(seen).log_softmax(1))).sum(1)
    brightness = F.avg_pool2d(change.mean(1, keepdim=True) * mouths, GRAIN).abs().sum()
    cost = (
        OUTSIDE * (change.abs() * (1 - inside)).mean()
        + INSIDE * F.avg_pool2d(change * inside, GRAIN).abs().mean()
        + MOUTH * brightness / F.avg_pool2d(mouths, GRAIN).sum()
        + AGE * ((ages - real_ages) / 10).square().mean()
        + EXPRESSION * others.mean()
    )
    return odds, cost


def _draw_look(squares: Array, size: int, random: np.random.Generator) -> Callable[[Tensor], Tensor]:
    """Sees `squares` (B, 3) of pictures (B, 3, size, size) in [-1, 1] as the critics do, displaced and mirrored."""
    sides = squares[:, 2] * np.exp(random.normal(0, RESIZED, len(squares)))
    centres = squares[:, :2] + random.normal(0, DISPLACED * size / 256, (len(squares), 2))
    across = random.choice((-1.0, 1.0))
    moves = np.zeros((len(squares), 2, 3), np.float32)
    moves[:, 0, 0], moves[:, 1, 1] = across * sides / size, sides / size
    moves[:, :, 2] = 2 * centres / size - 1
    grid = F.affine_grid(torch.from_numpy(moves), [len(squares), 3, INPUT_SIZE, INPUT_SIZE], align_corners=False)
    return lambda pictures: (F.grid_sample(pictures, grid, align_corners=False) + 1) * 127.5
