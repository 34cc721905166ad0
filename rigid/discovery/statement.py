"""What an attribute was seen to do at full strength: to its own measure, to every other, and to who the face is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rigid.arrays import Array
from rigid.atomic_files import write_json
from rigid.discovery.calibrate import Faces, compare
from rigid.discovery.recipes import Recipe
from rigid.discovery.samples import Studio
from rigid.face.identity import Embedder

OffsetAt = Callable[[float, Array], Array]
"""Strength and codes (N, n_codes, 512) → what is added to the codes."""
EMBEDDED = 16
"""Faces that are compared with themselves, as it is slow."""
BACK_FACES = 48
"""Faces on which the way back is stated."""


@dataclass(frozen=True)
class Witnesses:
    """The faces on which edits are stated; `deviations` (M,): how much each measure varies between faces."""

    studio: Studio
    deviations: Array
    generated: Faces
    real: Faces | None = None
    embed: Embedder | None = None


@dataclass(frozen=True)
class Statement:
    """Mean changes at full strength; those of `entangled` in standard deviations between faces."""

    name: str
    measure: str
    target: float
    reached: dict[str, float]
    """Change of the measure by what it was seen on: faces with room for it."""
    faces: dict[str, int]
    """How many faces each figure is the mean of."""
    entangled: dict[str, float]
    """Change of every measure at strength 1 on all stated faces."""
    identity: float | None
    """Mean cosine of the embeddings before and after."""
    surroundings: float
    """Mean change outside the face, 0 to 1."""
    lost: float
    """Share of faces no longer found as one."""

    @property
    def summary(self) -> dict[str, float]:
        """The record that goes into the attribute's file."""
        return {"surroundings_at_1": round(self.surroundings, 4), "lost_at_1": round(self.lost, 4)} | {
            f"{name}_faces": float(count) for name, count in self.faces.items()
        }


def state(witnesses: Witnesses, recipe: Recipe, offset: OffsetAt) -> Statement:
    """Measure an edit on the generated faces, both ways if it has two, and on real ones if there are any."""
    studio, stating, real = witnesses.studio, witnesses.generated, witnesses.real
    column = studio.column(recipe.measure)
    after = Faces.make(studio, stating.codes + offset(1.0, stating.codes))
    whole = compare(stating, after)
    tried = {"generated": (np.flatnonzero(stating.measures[:, column] <= recipe.ceiling), stating, after)}
    if recipe.two_way:
        chosen = np.flatnonzero(stating.measures[:, column] >= recipe.floor)[:BACK_FACES]
        back = stating.where(chosen)
        if chosen.size:
            moved = Faces.make(studio, back.codes + offset(-1.0, back.codes))
            tried["generated_back"] = (np.arange(len(chosen)), back, moved)
    if real is not None:
        chosen = np.flatnonzero(real.measures[:, column] <= recipe.ceiling)
        tried["clips"] = (chosen, real, Faces.make(studio, real.codes + offset(1.0, real.codes)))
    changes = {name: (b.measures - a.measures)[rows, column] for name, (rows, a, b) in tried.items()}
    changes = {name: values[np.isfinite(values)] for name, values in changes.items()}
    return Statement(
        name=recipe.name,
        measure=recipe.measure,
        target=recipe.change,
        reached={name: round(float(values.mean()), 4) for name, values in changes.items() if values.size},
        faces={name: int(values.size) for name, values in changes.items() if values.size},
        entangled=_name_values(studio.labeller.measures, whole.change / witnesses.deviations),
        identity=None if witnesses.embed is None else _same_person(witnesses.embed, stating, after),
        surroundings=whole.surroundings,
        lost=whole.lost,
    )


def _name_values(names: tuple[str, ...], values: Array) -> dict[str, float]:
    return {name: round(float(value), 3) for name, value in zip(names, values, strict=True)}


def _same_person(embed: Embedder, before: Faces, after: Faces) -> float | None:
    """Mean cosine between the embeddings of a face and of it edited, on the first faces that are found."""
    found = np.flatnonzero(np.isfinite(after.measures).all(1))[:EMBEDDED]
    cosines = [
        float(embed(before.images[i], before.seen["landmarks"][i]) @ embed(after.images[i], after.seen["landmarks"][i]))
        for i in found
    ]
    return round(float(np.mean(cosines)), 4) if cosines else None


def write_statement(path: Path, statement: Statement) -> None:
    """Keep a statement as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(statement))


def read_statements(folder: Path) -> dict[str, Statement]:
    """Read all that `write_statement` kept in `folder`, by attribute."""
    stored = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
    return {values["name"]: Statement(**values) for values in stored}


def in_order(folder: Path, recipes: Sequence[Recipe]) -> list[Statement]:
    """The statements in `folder` in the order of their recipes, those of earlier runs too."""
    kept = read_statements(folder)
    return [kept[recipe.name] for recipe in recipes if recipe.name in kept]
