from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigid.discovery.discover import discover_one, prepare
from rigid.discovery.recipes import RECIPES, Recipe
from rigid.discovery.samples import Studio
from rigid.discovery.search import find_needed, join
from tests.discovery.world import World, draw, true_slopes

ALONE = Recipe("smile", "Smile", "expression", "smile", 0.75, ((1, 1),), held=("age", "yaw"))
JOINED = replace(ALONE, without=("gender",), joined=(("lipstick", 2.0),))


def edits() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    gender, lipstick = np.zeros((2, 3, 4), np.float32)
    gender[1, :2], gender[2] = 1.0, 5.0
    lipstick[1, 3], lipstick[0] = 0.5, 7.0
    return {"gender": gender, "lipstick": lipstick}


def test_a_part_is_taken_out_and_another_added_where_the_edit_is() -> None:
    edit = np.zeros((3, 4), np.float32)
    edit[1] = 3, 1, 2, 0
    made = join(JOINED, edit, edits())
    np.testing.assert_allclose(made[1], [1, -1, 2, 1], atol=1e-6)
    assert not made[[0, 2]].any() and made.dtype == np.float32
    assert find_needed(JOINED) == ("gender", "lipstick") and find_needed(ALONE) == ()
    np.testing.assert_array_equal(join(ALONE, edit, {}), edit)


def test_what_a_recipe_needs_has_one_that_needs_nothing() -> None:
    recipes = {recipe.name: recipe for recipe in RECIPES}
    for recipe in RECIPES:
        for name in find_needed(recipe):
            assert name != recipe.name and not find_needed(recipes[name])


def test_a_discovery_finds_what_it_joins_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    studio = Studio(world.synthesize, world)
    bench = prepare(studio, draw, draw, count=384, seed=0, cache=tmp_path, fingerprint="world")
    older = replace(ALONE, name="age", measure="age", change=0.4, held=("smile", "yaw"))
    monkeypatch.setattr("rigid.discovery.discover.RECIPES", (older,))
    recipe = replace(ALONE, joined=(("age", 1.0),))
    found = discover_one(bench, recipe)
    plain = discover_one(bench, ALONE)
    slopes = true_slopes()
    # the recipe's own edit, the other's, and then as long as the smile must be
    assert (slopes[0] * found.edit).sum() == pytest.approx(0.75, rel=0.1)
    assert (slopes[1] * found.edit).sum() == pytest.approx(0.4, rel=0.2)
    assert abs((slopes[1] * plain.edit).sum()) < 0.1
    assert list(bench.edits) == ["age"]
    lines: list[str] = []
    discover_one(bench, recipe, lines.append)
    assert not any(line.startswith("age:") for line in lines)
