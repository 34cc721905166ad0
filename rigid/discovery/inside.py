"""An edit that changes what a stream shows of a face: found by descent through generator, composite and classifier.

What the labelled samples know of being male is hair first of all, which a stream leaves as it is, and mouths and eyes
are kept real where the edit is not to change them. Here the edit d, the same for all faces, is what the classifier is
shown. With I real faces and O their inversions, E = G(w + d, n), y what a stream shows of it, c the male log odds of y
and s the side it is to come to, -1 or 1, it minimises

    softplus(MARGIN - s · c)² / 2 + what y changes, and its mean light, what E changes outside M, and of where eyes,
    brows and mouth are, age and expression,

over faces of the other side, each seen a little displaced and mirrored, so that no pattern is found that only fools it.
Squared, as those with the most to go, bearded or grimacing, stay behind where all pull alike.
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
from rigid.discovery.shots import Shots
from rigid.discovery.shown import show
from rigid.models.age_gender import INPUT_SIZE
from rigid.models.contract import CLASSES
from rigid.reporting import Say, say_nothing

MARGIN = 1.0
"""Log odds beyond which a face that has changed sides pulls no more."""
OUTSIDE, INSIDE, LIGHT, AGE, EXPRESSION = 2.0, 1.0, 5.0, 0.3, 0.3
"""Weights: of changed pixels outside the face, in it, and of their mean, without which faces darken; of ages in decades
squared and of the expressions' cross entropy."""
MOVED = {"eyes": 2.0, "brows": 1.0, "mouth": 0.3, "lips": 0.3}
"""Weights of the share of a part that is elsewhere: opened eyes are not shown, and brows show beside the real ones."""
LEAST_PART = 4.0
"""Places of a part, of which fewer count as so many."""
GRAIN = 4
"""Pixels averaged before what is inside is compared."""
DISPLACED, RESIZED = 3.0, 0.05
"""Standard deviations of how faces are seen: pixels, and share of the square's side."""


class Critics(NamedTuple):
    """RGB faces (B, 3, 112, 112), 0 to 255 → ages (B,) and male log odds (B,); → logits of expressions (B, n).

    Aligned faces (B, 3, S, S) in [-1, 1] → the parser's maps.
    """

    age_gender: Callable[[Tensor], tuple[Tensor, Tensor]]
    expression: Callable[[Tensor], Tensor]
    parse: Callable[[Tensor], Tensor]


def find_inside(descent: Descent, critics: Critics, shots: Shots, side: int, report: Say = say_nothing) -> Array:
    """The edit (n_codes, 512) by which the faces of `shots`, of the other side to the critics, come to `side`, -1 or 1.

    -1: none of them is male any more.
    """

    def judge(made: Tensor, chosen: list[int], random: np.random.Generator) -> tuple[Tensor, str]:
        odds, cost = _judge(made, shots, chosen, critics, random)
        words = f"male log odds {odds.mean().item():+.2f}, side effects {cost.item():.2f}"
        return F.softplus(MARGIN - side * odds).square().mean() / 2 + cost, words

    return descent.run(shots.codes, judge, report)


def _judge(
    made: Tensor, shots: Shots, chosen: list[int], critics: Critics, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Male log odds (B,) of what is shown of the edited faces `made`, and what else that costs."""
    real, before, inside = (part[chosen] for part in (shots.real, shots.inverted, shots.face))
    shown = show(shots, chosen, made)
    look = _draw_look(shots.squares[chosen], real.shape[-1], random)
    ages, odds = critics.age_gender(look(shown))
    with torch.no_grad():
        real_ages, _ = critics.age_gender(look(real))
        expressions = critics.expression(look(real)).softmax(1)
        parts = critics.parse(before)
    others = (expressions * (expressions.clamp_min(1e-6).log() - critics.expression(look(shown)).log_softmax(1))).sum(1)
    light = ((shown - real) * inside).sum((2, 3)) / inside.sum((2, 3)).clamp_min(1)
    cost = (
        OUTSIDE * ((made - before).abs() * (1 - inside)).mean()
        + INSIDE * F.avg_pool2d(shown - real, GRAIN).abs().mean()
        + LIGHT * light.abs().mean()
        + AGE * ((ages - real_ages) / 10).square().mean()
        + EXPRESSION * others.mean()
    )
    return odds, cost + _weigh_moved(parts, critics.parse(made))


def _weigh_moved(before: Tensor, after: Tensor) -> Tensor:
    """How much of the parts that are to stay where they are is elsewhere in one map (B, C, n, n) than in the other."""
    total = torch.zeros(())
    for name, weight in MOVED.items():
        first, second = (parts[:, CLASSES.index(name)] for parts in (before, after))
        either = torch.maximum(first, second).sum((1, 2)).clamp_min(LEAST_PART)
        total = total + weight * ((first - second).abs().sum((1, 2)) / either).mean()
    return total


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
