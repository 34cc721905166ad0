"""Finds the attributes of `recipes` in a generator: sample, label, fit, choose levels, set the strength, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rigid.attributes.calibrate import Faces, find_scale, try_both, try_edit
from rigid.attributes.directions import Gradients, fit_gradients, level_codes
from rigid.attributes.format import AttributeHeader, write_attribute
from rigid.attributes.recipes import Recipe
from rigid.attributes.samples import DrawCodes, Samples, Studio, take_samples
from rigid.attributes.search import Report, Search

Array = NDArray[np.float32]
MEASURING_FACES = 128
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
    search = Search(studio, gradients, samples.measures.std(0))
    found = [_discover_one(search, faces, recipe, report, len(samples.codes)) for recipe in recipes]
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


def _discover_one(search: Search, faces: Faces, recipe: Recipe, report: Report, count: int) -> Found:
    column = search.studio.column(recipe.measure)
    has_room = faces.measures[:, column] <= recipe.ceiling
    if not has_room.any():
        raise ValueError(f"No held-out face has room for {recipe.name}; sample with another seed.")
    room = faces.where(has_room)
    best = search.best(recipe, room, report)
    scale = find_scale(search.studio, room, best.edit, recipe, 1.0) or 1.0
    edit = np.float32(scale) * best.edit
    return _described(recipe, edit, best.levels, _measured(search, recipe, edit, faces, room), count)


def _measured(search: Search, recipe: Recipe, edit: Array, faces: Faces, room: Faces) -> dict[str, float]:
    """What full strength does on the held-out faces, for the record."""
    studio = search.studio
    column = studio.column(recipe.measure)
    up, down = try_both(studio, faces, edit, recipe.opposite)
    return {
        "change_at_1_with_room": float(try_edit(studio, room, edit).change[column]),
        "change_at_1": float(up.change[column]),
        "change_at_minus_1": float(down.change[column]),
        **{f"{name}_at_1": float(up.change[studio.column(name)]) for name in recipe.controls},
        "surroundings_at_1": up.surroundings,
        "faces": float(len(faces.codes)),
    }


def _described(recipe: Recipe, edit: Array, levels: Sequence[int], measured: dict[str, float], count: int) -> Found:
    scale = float(np.linalg.norm(edit))
    header = AttributeHeader(
        name=recipe.name,
        label=recipe.label,
        group=recipe.group,
        source=f"discovered on {count} generated faces",
        strength_scale=scale,
        layers=tuple(code for level in levels for code in level_codes(edit.shape[0])[level]),
        opposite=recipe.opposite,
        order=recipe.order,
        effect=recipe.effect.format(f"{measured['change_at_1_with_room']:+.2g}"),
        measured={name: round(value, 4) for name, value in measured.items()},
    )
    return Found(header, edit / np.float32(scale))


def _write_report(path: Path, found: Sequence[Found], gradients: Gradients, count: int) -> None:
    """What was explained and measured, as JSON."""
    explained = {name: round(float(r2), 3) for name, r2 in zip(gradients.measures, gradients.r2, strict=True)}
    attributes = {one.header.name: {"layers": one.header.layers, **one.header.measured} for one in found}
    path.write_text(json.dumps({"samples": count, "explained": explained, "attributes": attributes}, indent=2))
