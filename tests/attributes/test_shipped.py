"""The edits that are shipped, on faces of the real generator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from rigid.assets import AssetStore
from rigid.attributes.calibrate import Faces, try_both
from rigid.attributes.library import AttributeLibrary, load_library
from rigid.attributes.recipes import RECIPES, Recipe
from rigid.attributes.run import open_studio
from rigid.attributes.samples import Studio
from rigid.models.build import sizes_of

PROFILE = "mobile-256"
SEED = 77
"""Of faces that neither the fit nor the strengths have seen."""


@pytest.fixture(scope="module")
def library() -> AttributeLibrary:
    return load_library(PROFILE, custom=False)


@pytest.fixture(scope="module")
def studio_and_faces(store: AssetStore) -> Iterator[tuple[Studio, Faces]]:
    with open_studio(PROFILE, store) as (studio, _, draw_held_out):
        yield studio, Faces.taken(studio, draw_held_out(SEED, 16))


def test_every_recipe_is_shipped_in_its_order(library: AttributeLibrary) -> None:
    assert library.names == [recipe.name for recipe in RECIPES]
    assert all(attribute.min == -1 and attribute.max == 1 and attribute.effect for attribute in library)


def test_the_shared_late_codes_carry_no_edit(library: AttributeLibrary) -> None:
    late = sizes_of(PROFILE).n_shared_codes
    for attribute in library:
        assert not attribute.direction[-late:].any()
        assert attribute.direction.any()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_full_strength_changes_what_it_says(
    recipe: Recipe, library: AttributeLibrary, studio_and_faces: tuple[Studio, Faces]
) -> None:
    studio, faces = studio_and_faces
    column = studio.column(recipe.measure)
    room = faces.where(faces.measures[:, column] <= recipe.ceiling)
    assert len(room.codes) >= 3
    up, down = try_both(studio, room, library[recipe.name].direction, library[recipe.name].opposite)
    assert up.lost == 0 and down.lost == 0
    assert up.change[column] == pytest.approx(recipe.change, rel=0.35)
    assert down.change[column] < 0
    # besides it, no head turns by more than a few degrees and no one changes sex
    others = {"yaw": 4.0, "pitch": 4.0, "roll": 3.0, "male": 2.5}
    for name in others.keys() & set(recipe.controls):
        assert abs(up.change[studio.column(name)]) < others[name], name


def test_strengths_add_up(library: AttributeLibrary) -> None:
    both = library.offset({"smile": 0.5, "age": -1.0})
    np.testing.assert_allclose(both, 0.5 * library["smile"].direction - library["age"].direction, atol=1e-6)
