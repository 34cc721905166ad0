"""The search for one attribute's edit: which levels carry it best, less what else it changes, with others joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rigid.arrays import Array
from rigid.discovery.calibrate import Aim, Faces, find_scale, side_effects
from rigid.discovery.directions import Gradients, solve_direction, spread_over_codes
from rigid.discovery.recipes import Recipe
from rigid.discovery.samples import Studio
from rigid.reporting import Say

NATURALNESS = 0.5
CHOOSING_FACES = 8
"""Faces the candidates are compared on."""
CHOOSING_ROUNDS = 3
CHOOSING_CLOSE = 0.2
"""How close to the wanted change a candidate must come to be compared."""
CORRECTIONS = 1
"""How often the side effects seen are taken out of the best candidate."""


@dataclass(frozen=True)
class Candidate:
    """An edit at full strength, (n_codes, 512), with the aims it was solved for and what it costs."""

    edit: Array
    levels: tuple[int, ...]
    aims: dict[str, float]
    scale: float
    """The edit is this multiple of the solution for `aims`."""
    drift: dict[str, float]
    """How far each control went astray at full strength, in standard deviations."""
    cost: float


@dataclass(frozen=True)
class Search:
    """What is known of the generator; `deviations` (M,): how much each measure varies between faces."""

    studio: Studio
    gradients: Gradients
    deviations: Array

    def best(self, recipe: Recipe, room: Faces, report: Say) -> Candidate:
        """The best edit for `recipe` on faces with `room` for it; ValueError when there is none."""
        few = room.where(np.arange(min(len(room.codes), CHOOSING_FACES)))
        aims = dict(recipe.aims or ((recipe.measure, 1.0),)) | dict.fromkeys(recipe.controls, 0.0)
        guess = recipe.change / float(self.deviations[self.studio.column(recipe.measure)])
        candidates = []
        for first, last in recipe.spans:
            candidate = self._try(recipe, few, tuple(range(first, last + 1)), aims, guess)
            report(f"{recipe.name}: levels {first}-{last}: {_cost_text(candidate)}")
            candidates += [candidate] if candidate else []
        if not candidates:
            raise ValueError(f"No direction changes {recipe.measure} by {recipe.change:g}; take more samples.")
        return self._correct(recipe, few, min(candidates, key=lambda c: c.cost), report)

    def _try(
        self, recipe: Recipe, faces: Faces, levels: tuple[int, ...], aims: dict[str, float], guess: float
    ) -> Candidate | None:
        """The edit of `levels` that pursues `aims` with the recipe's strength; None when it cannot reach it."""
        solution = solve_direction(self.gradients, aims, levels, NATURALNESS)
        unit = spread_over_codes(solution, faces.codes.shape[1])
        aim = Aim(self.studio.column(recipe.measure), recipe.change)
        found = find_scale(self.studio, faces, unit, aim, guess, close=CHOOSING_CLOSE, rounds=CHOOSING_ROUNDS)
        if found is None:
            return None
        scale, outcome = found
        columns = [self.studio.column(name) for name in recipe.controls]
        cost = side_effects(outcome, columns, self.deviations, pose=recipe.group == "pose")
        astray = outcome.change / self.deviations
        drift = {name: float(astray[self.studio.column(name)]) for name in recipe.controls}
        return Candidate(np.float32(scale) * unit, levels, aims, scale, drift, cost)

    def _correct(self, recipe: Recipe, faces: Faces, best: Candidate, report: Say) -> Candidate:
        """Aim against the drift that was seen, as far as it helps: the linear fit does not foresee all of it."""
        for _ in range(CORRECTIONS):
            aims = {name: aim - best.drift.get(name, 0.0) / best.scale for name, aim in best.aims.items()}
            candidate = self._try(recipe, faces, best.levels, aims, best.scale)
            report(f"{recipe.name}: corrected: {_cost_text(candidate)}")
            if candidate is None or candidate.cost >= best.cost:
                break
            best = candidate
        return best


def _cost_text(candidate: Candidate | None) -> str:
    return "out of reach" if candidate is None else f"side effects {candidate.cost:.3f}"


def find_needed(recipe: Recipe) -> tuple[str, ...]:
    """The other attributes that `recipe` is made with."""
    return (*recipe.without, *(name for name, _ in recipe.joined))


def join(recipe: Recipe, edit: Array, others: Mapping[str, Array]) -> Array:
    """`edit` (n_codes, 512) without its part along those of `recipe.without`, and with those of `recipe.joined` added.

    `others`: the edits at strength 1 of all that are `needed`. What they do in codes that `edit` leaves alone is left
    out.
    """
    carried = edit.any(1, keepdims=True)
    made = edit
    if recipe.without:
        away = np.stack([(others[name] * carried).ravel() for name in recipe.without], 1)
        made = edit - (away @ np.linalg.lstsq(away, edit.ravel(), rcond=None)[0]).reshape(edit.shape)
    for name, share in recipe.joined:
        made = made + np.float32(share) * (others[name] * carried)
    return np.asarray(made, np.float32)
