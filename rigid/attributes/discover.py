"""Finds the attributes of `recipes` in a generator: sample, label, fit, choose levels, set the strength, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rigid.attributes.calibrate import Faces, find_scale, side_effects, try_edit
from rigid.attributes.directions import Gradients, fit_gradients, level_codes, solve_direction, spread_over_codes
from rigid.attributes.format import AttributeHeader, write_attribute
from rigid.attributes.recipes import Recipe
from rigid.attributes.samples import DrawCodes, Samples, Studio, take_samples

Array = NDArray[np.float32]
Report = Callable[[str], None]
NATURALNESS = 0.5
CHOOSING_FACES = 32
"""Faces the candidates are compared on."""
MEASURING_FACES = 200
"""Faces the strength is set and stated on."""
HELD_OUT_SEED = 1_000_000
"""Added to the seed for faces that no direction is fitted to."""


@dataclass(frozen=True)
class Found:
    """A discovered attribute."""

    header: AttributeHeader
    direction: Array
    """(n_codes, 512), of length 1."""

    @property
    def edit(self) -> Array:
        """What strength 1 adds to the codes, (n_codes, 512)."""
        return np.float32(self.header.strength_scale) * self.direction


@dataclass(frozen=True)
class _Candidate:
    edit: Array
    levels: tuple[int, ...]
    cost: float


def discover(
    studio: Studio,
    draw: DrawCodes,
    draw_held_out: DrawCodes,
    recipes: Sequence[Recipe],
    *,
    count: int,
    seed: int,
    out: Path,
    fingerprint: str,
    progress: Callable[[int], None] = lambda done: None,
    report: Report = lambda line: None,
) -> list[Found]:
    """Discover `recipes` from `count` labelled faces and write one file each, and `report.json`, into `out`.

    `draw` gives the codes to fit on, `draw_held_out` those the strengths are measured on. `fingerprint` names
    the generator the labels kept in `out` belong to.
    """
    samples = _labelled(studio, draw, count, seed, out / "labels", fingerprint, progress)
    names = studio.labeller.measures
    gradients = fit_gradients(samples.codes, samples.measures, names, seed)
    report("explained: " + ", ".join(f"{name} {r2:.2f}" for name, r2 in zip(names, gradients.r2, strict=True)))
    faces = Faces.taken(studio, draw_held_out(seed + HELD_OUT_SEED, MEASURING_FACES))
    found = [_discover_one(studio, faces, gradients, samples, recipe, report) for recipe in recipes]
    for one in found:
        write_attribute(out / f"{one.header.name}.safetensors", one.header, one.direction)
    _write_report(out / "report.json", found, gradients, len(samples.codes))
    return found


def _labelled(
    studio: Studio,
    draw: DrawCodes,
    count: int,
    seed: int,
    cache: Path,
    fingerprint: str,
    progress: Callable[[int], None],
) -> Samples:
    for step in take_samples(studio, draw, count, seed, cache, fingerprint):
        if isinstance(step, Samples):
            return step
        progress(step)
    raise ValueError(f"{count} samples cannot be fitted to; take at least 1.")


def _discover_one(
    studio: Studio, faces: Faces, gradients: Gradients, samples: Samples, recipe: Recipe, report: Report
) -> Found:
    room = faces.where(faces.measures[:, studio.column(recipe.measure)] <= recipe.ceiling)
    if len(room.codes) == 0:
        raise ValueError(f"No held-out face has room for {recipe.name}; sample with another seed.")
    deviations = samples.measures.std(0)
    candidates = []
    for span in recipe.spans:
        candidate = _try_span(studio, room, gradients, recipe, span, deviations)
        report(f"{recipe.name}: levels {span[0]}-{span[1]}: {_cost_text(candidate)}")
        candidates += [candidate] if candidate else []
    if not candidates:
        raise ValueError(f"No direction changes {recipe.measure} by {recipe.change:g}; take more samples.")
    best = min(candidates, key=lambda c: c.cost)
    scale = find_scale(studio, room, best.edit, recipe, 1.0) or 1.0
    return _described(studio, faces, room, recipe, best, np.float32(scale) * best.edit, len(samples.codes))


def _try_span(
    studio: Studio, room: Faces, gradients: Gradients, recipe: Recipe, span: tuple[int, int], deviations: Array
) -> _Candidate | None:
    """The edit of one span of levels at full strength, and what it does besides; None when it cannot do it."""
    levels = tuple(range(span[0], span[1] + 1))
    direction = solve_direction(gradients, recipe.measure, recipe.controls, levels, NATURALNESS)
    unit = spread_over_codes(direction, room.codes.shape[1])
    few = room.where(np.arange(len(room.codes)) < CHOOSING_FACES)
    scale = find_scale(studio, few, unit, recipe, 1.0)
    if scale is None:
        return None
    edit = np.float32(scale) * unit
    return _Candidate(edit, levels, side_effects(studio, few, edit, recipe, deviations))


def _cost_text(candidate: _Candidate | None) -> str:
    return "too weak" if candidate is None else f"side effects {candidate.cost:.3f}"


def _described(
    studio: Studio, faces: Faces, room: Faces, recipe: Recipe, best: _Candidate, edit: Array, count: int
) -> Found:
    column = studio.column(recipe.measure)
    up = try_edit(studio, room, edit)
    up_all, down_all = try_edit(studio, faces, edit), try_edit(studio, faces, -edit)
    names = studio.labeller.measures
    measured = {
        "change_at_1": float(up.change[column]),
        "change_at_1_all_faces": float(up_all.change[column]),
        "change_at_minus_1_all_faces": float(down_all.change[column]),
        **{f"{name}_at_1": float(up_all.change[i]) for i, name in enumerate(names)},
        "surroundings_at_1": up_all.surroundings,
    }
    codes = [code for level in best.levels for code in level_codes(edit.shape[0])[level]]
    scale = float(np.linalg.norm(edit))
    header = AttributeHeader(
        name=recipe.name,
        label=recipe.label,
        group=recipe.group,
        source=f"discovered on {count} generated faces",
        strength_scale=scale,
        layers=tuple(codes),
        effect=recipe.effect.format(f"{measured['change_at_1']:+.2g}"),
        measured={name: round(value, 4) for name, value in measured.items()},
    )
    return Found(header, edit / np.float32(scale))


def _write_report(path: Path, found: Sequence[Found], gradients: Gradients, count: int) -> None:
    """What was explained and measured, as JSON."""
    explained = {name: round(float(r2), 3) for name, r2 in zip(gradients.measures, gradients.r2, strict=True)}
    attributes = {one.header.name: {"layers": one.header.layers, **one.header.measured} for one in found}
    path.write_text(json.dumps({"samples": count, "explained": explained, "attributes": attributes}, indent=2))
