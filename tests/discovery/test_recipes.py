from __future__ import annotations

import pytest

from rigid.discovery.directions import level_codes
from rigid.discovery.labels import UNITS
from rigid.discovery.looks import LOOKS
from rigid.discovery.recipes import RECIPES, Recipe
from rigid.discovery.run import recipes_named, strengths_of
from rigid.edits.attribute_header import GROUPS
from rigid.models.build import GENERATOR_CHANNELS
from rigid.models.profiles import sizes_of


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_speaks_of_measures_and_levels_that_exist(recipe: Recipe) -> None:
    assert {recipe.measure, *recipe.controls, *dict(recipe.aims)} <= {*UNITS, *LOOKS}
    assert recipe.measure not in recipe.controls and not set(recipe.free) & set(recipe.controls)
    assert recipe.effect(0.5).startswith("+0.5 ") and recipe.group in GROUPS and recipe.change > 0
    for profile in GENERATOR_CHANNELS:
        sizes = sizes_of(profile)
        levels = level_codes(sizes.n_codes)
        for first, last in recipe.spans:
            carried = [code for level in levels[first : last + 1] for code in level]
            # an edit in the codes that all frames share would be thrown away
            assert carried and max(carried) < sizes.n_codes - sizes.n_shared_codes


def test_no_name_and_no_place_is_taken_twice() -> None:
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES) == len({recipe.order for recipe in RECIPES})


def test_recipes_are_chosen_by_name() -> None:
    assert recipes_named([]) == list(RECIPES)
    assert [r.name for r in recipes_named(["yaw", "smile"])] == ["yaw", "smile"]
    with pytest.raises(ValueError, match="no recipe for 'laugh'; choose from: smile"):
        recipes_named(["laugh"])


def test_a_sheet_shows_the_whole_range() -> None:
    assert strengths_of(-1.0)[0] == -1 and strengths_of(0.0)[0] == 0
    assert strengths_of(-1.0)[-1] == strengths_of(0.0)[-1] == 1
