from __future__ import annotations

import pytest

from rigid.attributes.directions import level_codes
from rigid.attributes.labels import MEASURES
from rigid.attributes.recipes import RECIPES, Recipe
from rigid.attributes.run import recipes_named
from rigid.models.build import GENERATOR_CHANNELS, sizes_of


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_speaks_of_measures_and_levels_that_exist(recipe: Recipe) -> None:
    assert {recipe.measure, *recipe.controls} <= set(MEASURES)
    assert recipe.measure not in recipe.controls
    assert "{}" in recipe.effect
    for profile in GENERATOR_CHANNELS:
        sizes = sizes_of(profile)
        levels = level_codes(sizes.n_codes)
        for first, last in recipe.spans:
            carried = [code for level in levels[first : last + 1] for code in level]
            # an edit in the codes that all frames share would be thrown away
            assert carried and max(carried) < sizes.n_codes - sizes.n_shared_codes


def test_recipes_are_chosen_by_name() -> None:
    assert recipes_named([]) == list(RECIPES)
    assert [r.name for r in recipes_named(["yaw", "smile"])] == ["yaw", "smile"]
    with pytest.raises(ValueError, match="no recipe for 'laugh'; choose from: smile"):
        recipes_named(["laugh"])
