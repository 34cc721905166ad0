"""How strong an edit came out, in the unit of what it is to change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rigid.discovery.recipes import RECIPES

Labels = NDArray[np.float32]
"""One face's measures, in the order of the labeller's `measures`; NaN where no face was found."""


def measure_of(attribute: str, measures: Sequence[str]) -> str | None:
    """The name in `measures` of what `attribute` is to change; None where nothing measures it."""
    wanted = next((recipe.measure for recipe in RECIPES if recipe.name == attribute), attribute)
    return wanted if wanted in measures else None


def changes(source: Labels, edited: Labels, edits: Mapping[str, float], measures: Sequence[str]) -> dict[str, float]:
    """Measure how each of `edits` changed its measure from `source` to `edited`, positive in the edit's direction."""
    found: dict[str, float] = {}
    for name, strength in edits.items():
        measure = measure_of(name, measures)
        if not strength or measure is None:
            found[name] = math.nan
            continue
        column = list(measures).index(measure)
        found[name] = math.copysign(1.0, strength) * float(edited[column] - source[column])
    return found
