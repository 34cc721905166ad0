"""Edits made of others: what the slopes alone find for one attribute, less some of another and with some of a third."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rigid.arrays import Array
from rigid.discovery.recipes import Recipe


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
