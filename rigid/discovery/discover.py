"""Finds the attributes of `recipes` in a generator: sample, label, fit, choose levels, set the strength, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rigid.arrays import Array
from rigid.discovery.calibrate import Aim, Faces, find_scale
from rigid.discovery.directions import fit_gradients, level_codes
from rigid.discovery.recipes import RECIPES, Recipe
from rigid.discovery.samples import DrawCodes, Samples, Studio, take_samples
from rigid.discovery.search import Candidate, Search, find_needed, join
from rigid.discovery.statement import Statement, Witnesses, state, write_statement
from rigid.edits.attribute_file import write_attribute
from rigid.edits.attribute_header import AttributeHeader
from rigid.face.identity import Embedder
from rigid.reporting import CountDone, Say, say_nothing

SHARES = (1.0, 0.7, 0.5)
"""Shares of the wanted change that are tried, in this order."""
SETTING_FACES = 64
"""Faces the strength is set on, at most `MOST_ROOM` of those that have room."""
MOST_ROOM = 12
STATING_FACES = 200
"""Faces that neither the fit nor the strength has seen, on which the change is stated, unless told otherwise."""
SETTING_SEED, STATING_SEED = 1_000_000, 2_000_000
"""What is added to the seed, so that these faces are others than those of the fit."""
SETTING_CLOSE = 0.08
SETTING_ROUNDS = 3


@dataclass(frozen=True)
class Found:
    """A discovered attribute."""

    header: AttributeHeader
    direction: Array
    """(n_codes, 512), of length 1."""
    statement: Statement

    @property
    def edit(self) -> Array:
        """What strength 1 adds to the codes, (n_codes, 512)."""
        return np.float32(self.header.strength_scale) * self.direction


@dataclass(frozen=True)
class Bench:
    """What all searches share: what was fitted, faces to set the strength on, and faces to state it on."""

    search: Search
    setting: Faces
    witnesses: Witnesses
    count: int
    family: str
    edits: dict[str, Array] = field(default_factory=dict)
    """Edits at strength 1 that are `needed` for others, by name; filled as they are found."""


def prepare(
    studio: Studio,
    draw: DrawCodes,
    draw_held_out: DrawCodes,
    *,
    count: int,
    seed: int,
    cache: Path,
    fingerprint: str,
    family: str = "",
    real: Array | None = None,
    embed: Embedder | None = None,
    stating: int = STATING_FACES,
    progress: CountDone = lambda done: None,
    report: Say = say_nothing,
) -> Bench:
    """Label `count` faces, fit, and take the faces that strengths are set and stated on.

    `draw` gives the codes to fit on, `draw_held_out` the others. `fingerprint` names the generator the faces kept in
    `cache` belong to. `real`: codes (N, n_codes, 512) of real faces, to state the change on too, beside `stating`
    held-out generated ones.
    """
    samples = _take_labelled(studio, draw, count, seed, cache, fingerprint, progress)
    names = studio.labeller.measures
    gradients = fit_gradients(samples.codes, samples.measures, names, seed)
    report("explained: " + ", ".join(f"{name} {r2:.2f}" for name, r2 in zip(names, gradients.r2, strict=True)))
    search = Search(studio, gradients, samples.measures.std(0))
    setting = Faces.make_found(studio, draw_held_out(seed + SETTING_SEED, SETTING_FACES))
    generated = Faces.make_found(studio, draw_held_out(seed + STATING_SEED, stating))
    of_clips = None if real is None else Faces.make_found(studio, real)
    witnesses = Witnesses(studio, search.deviations, generated, of_clips, embed)
    return Bench(search, setting, witnesses, len(samples.codes), family)


def discover(bench: Bench, recipes: Sequence[Recipe], out: Path, report: Say = say_nothing) -> list[Found]:
    """Discover `recipes`, and write a file and a statement of each into `out`.

    A change that no direction brings about is tried smaller, as `SHARES` says; an attribute that is out of reach
    even then is reported and left out.
    """
    found = []
    for recipe in recipes:
        one = _discover_as_far_as_it_goes(bench, recipe, report)
        if one is None:
            continue
        write_attribute(out / f"{recipe.name}.safetensors", one.header, one.direction)
        write_statement(out / "statements" / f"{recipe.name}.json", one.statement)
        report(f"{recipe.name}: {one.header.effect}")
        found.append(one)
    return found


def _discover_as_far_as_it_goes(bench: Bench, recipe: Recipe, report: Say) -> Found | None:
    for share in SHARES:
        try:
            return discover_one(bench, replace(recipe, change=float(f"{share * recipe.change:.3g}")), report)
        except ValueError as error:
            report(f"{recipe.name}: {error}")
    return None


def _take_labelled(
    studio: Studio,
    draw: DrawCodes,
    count: int,
    seed: int,
    cache: Path,
    fingerprint: str,
    progress: CountDone,
) -> Samples:
    for step in take_samples(studio, draw, count, seed, cache, fingerprint):
        if isinstance(step, Samples):
            return step
        progress(step)
    raise ValueError(f"{count} samples cannot be fitted to; take at least 1.")


def discover_one(bench: Bench, recipe: Recipe, report: Say = say_nothing) -> Found:
    """The edit of `recipe`, its strength set and stated; ValueError when there is none."""
    best, edit = _search(bench, recipe, report)
    opposite = _opposite(bench, recipe, edit) if recipe.two_way else 1.0
    statement = state(bench.witnesses, recipe, lambda strength, _: _offset(edit, opposite, strength))
    return _describe(bench, recipe, best, edit, opposite, statement)


def _search(bench: Bench, recipe: Recipe, report: Say) -> tuple[Candidate, Array]:
    """The best candidate, and the edit made of it, as long as it must be; ValueError when there is none."""
    column = bench.search.studio.column(recipe.measure)
    room = with_room(bench.setting, column, ceiling=recipe.ceiling)
    if not len(room.codes):
        raise ValueError(f"No held-out face has room for {recipe.name}; sample with another seed.")
    best = bench.search.best(recipe, room, report)
    edit = best.edit
    if find_needed(recipe):
        # what is added is in proportion to what strength 1 of the recipe's own edit is
        own = _as_long_as_needed(bench, room, recipe, edit)
        edit = join(recipe, own, {name: _edit_of(bench, name, report) for name in find_needed(recipe)})
    return best, _as_long_as_needed(bench, room, recipe, edit)


def _as_long_as_needed(bench: Bench, room: Faces, recipe: Recipe, edit: Array) -> Array:
    fitted = _fit_scale(bench, room, edit, Aim(bench.search.studio.column(recipe.measure), recipe.change))
    if fitted is None:
        raise ValueError(f"No strength changes {recipe.measure} by {recipe.change:g}.")
    return np.float32(fitted) * edit


def _edit_of(bench: Bench, name: str, report: Say) -> Array:
    if name not in bench.edits:
        recipe = next(recipe for recipe in RECIPES if recipe.name == name)
        bench.edits[name] = _search(bench, recipe, report)[1]
    return bench.edits[name]


def with_room(faces: Faces, column: int, *, ceiling: float = np.inf, floor: float = -np.inf) -> Faces:
    """Choose at most `MOST_ROOM` of the faces whose measure in `column` lies from `floor` to `ceiling`."""
    values = faces.measures[:, column]
    chosen = np.flatnonzero((values <= ceiling) & (values >= floor))[:MOST_ROOM]
    return faces.where(chosen)


def _fit_scale(bench: Bench, room: Faces, edit: Array, aim: Aim) -> float | None:
    found = find_scale(bench.search.studio, room, edit, aim, 1.0, close=SETTING_CLOSE, rounds=SETTING_ROUNDS)
    return None if found is None else found[0]


def _opposite(bench: Bench, recipe: Recipe, edit: Array) -> float:
    """How long the way back must be for as much change, in lengths of `edit`.

    As long as the way there when no length does: the statement says what that comes to.
    """
    column = bench.search.studio.column(recipe.measure)
    room = with_room(bench.setting, column, floor=recipe.floor)
    fitted = _fit_scale(bench, room, -edit, Aim(column, -recipe.change)) if len(room.codes) else None
    return 1.0 if fitted is None else fitted


def _offset(edit: Array, opposite: float, strength: float) -> Array:
    return np.float32(strength if strength > 0 else strength * opposite) * edit


def _describe(
    bench: Bench, recipe: Recipe, best: Candidate, edit: Array, opposite: float, statement: Statement
) -> Found:
    scale = float(np.linalg.norm(edit))
    codes = level_codes(edit.shape[0])
    header = AttributeHeader(
        name=recipe.name,
        label=recipe.label,
        group=recipe.group,
        source=f"discovered on {bench.count} generated faces",
        strength_scale=scale,
        layers=tuple(code for level in best.levels for code in codes[level]),
        opposite=opposite,
        min=-1.0 if recipe.two_way else 0.0,
        effect=recipe.effect(statement.reached.get("generated")),
        measured=statement.summary,
        order=recipe.order,
        family=bench.family,
        measure=recipe.measure,
        target=recipe.change,
        identity=statement.identity,
        calibration=statement.reached,
        region=recipe.region,
        changes=recipe.changes,
    )
    return Found(header, edit / np.float32(scale), statement)
