"""How strong an edit came out, in the unit of what it is to change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rigid.arrays import Array
from rigid.discovery.recipes import RECIPES


def measure_of(attribute: str, measures: Sequence[str]) -> str | None:
    """The name in `measures` of what `attribute` is to change; None where nothing measures it."""
    wanted = next((recipe.measure for recipe in RECIPES if recipe.name == attribute), attribute)
    return wanted if wanted in measures else None


def changes(source: Array, edited: Array, edits: Mapping[str, float], measures: Sequence[str]) -> dict[str, float]:
    """Measure how each of `edits` changed its measure from `source` to `edited`, positive in the edit's direction.

    `source`, `edited`: one face's measures, in the order of `measures`; NaN where no face was found.
    """
    found: dict[str, float] = {}
    for name, strength in edits.items():
        measure = measure_of(name, measures)
        if not strength or measure is None:
            found[name] = math.nan
            continue
        column = list(measures).index(measure)
        found[name] = math.copysign(1.0, strength) * float(edited[column] - source[column])
    return found
