"""The edits that are shipped, on faces of the real generator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from rigid.assets.store import AssetStore
from rigid.discovery.calibrate import Faces, try_edit
from rigid.discovery.recipes import RECIPES
from rigid.discovery.run import open_studio
from rigid.discovery.samples import Studio
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary, load_library
from rigid.models.profiles import sizes_of
from tests.patience import ALL

PROFILE = "mobile-256"
SEED = 77
"""Of faces that neither the fit nor the strengths have seen."""
DRAWN, LOOKED_AT = (64, 16) if ALL else (24, 8)
RECIPE_OF = {recipe.name: recipe for recipe in RECIPES}
LIBRARY = load_library(PROFILE)
SHIPPED = [attribute for attribute in LIBRARY if not attribute.custom]
"""Not what a user imported."""
SEEN = SHIPPED if ALL else SHIPPED[::5]
"""Whose faces are looked at."""


@pytest.fixture(scope="module")
def studio_and_faces(store: AssetStore) -> Iterator[tuple[Studio, Faces]]:
    with open_studio(PROFILE, store) as (studio, _, draw_held_out):
        yield studio, Faces.make_found(studio, draw_held_out(SEED, DRAWN))


def test_what_ships_has_a_recipe_and_stands_in_its_order() -> None:
    names = [attribute.name for attribute in SHIPPED]
    assert names == [recipe.name for recipe in RECIPES if recipe.name in names]
    assert len(names) >= 30


@pytest.mark.parametrize("attribute", SHIPPED, ids=lambda attribute: attribute.name)
def test_an_attribute_says_what_it_does(attribute: Attribute) -> None:
    recipe = RECIPE_OF[attribute.name]
    assert attribute.effect and attribute.label == recipe.label and attribute.group == recipe.group
    assert attribute.min in (-1, 0) and attribute.max == 1
    if attribute.target is not None:
        assert attribute.min == (-1 if recipe.two_way else 0)
        assert attribute.measure == recipe.measure and 0.4 * recipe.change < attribute.target <= recipe.change


@pytest.mark.parametrize("attribute", SHIPPED, ids=lambda attribute: attribute.name)
def test_the_shared_late_codes_carry_no_edit(attribute: Attribute) -> None:
    late = sizes_of(PROFILE).n_shared_codes
    assert not attribute.direction[-late:].any()
    assert attribute.direction.any()


@pytest.mark.slow
@pytest.mark.parametrize("attribute", SEEN, ids=lambda attribute: attribute.name)
def test_full_strength_changes_what_it_says(attribute: Attribute, studio_and_faces: tuple[Studio, Faces]) -> None:
    studio, faces = studio_and_faces
    recipe = RECIPE_OF[attribute.name]
    column = studio.column(recipe.measure)
    target = recipe.change if attribute.target is None else attribute.target
    room = faces.where(np.flatnonzero(faces.measures[:, column] <= recipe.ceiling)[:LOOKED_AT])
    assert len(room.codes) >= 3
    up = try_edit(studio, room, attribute.offset(1.0))
    assert up.lost <= 0.2
    # of few faces, so no closer than this; what 200 faces say is in the file
    assert up.change[column] == pytest.approx(target, rel=0.5)
    if attribute.min < 0:
        back = faces.where(np.flatnonzero(faces.measures[:, column] >= recipe.floor)[: LOOKED_AT // 2])
        least = 0.3 * target if recipe.two_way else 0.0
        assert try_edit(studio, back, attribute.offset(-1.0)).change[column] < -least
    # besides it, no head turns by more than a few degrees and no one changes sex
    others = {"yaw": 6.0, "pitch": 6.0, "roll": 4.0, "male": 4.0}
    for name in others.keys() & set(recipe.controls):
        assert abs(up.change[studio.column(name)]) < others[name], name


def test_strengths_add_up() -> None:
    library: AttributeLibrary = LIBRARY
    both = library.effect({"smile": 0.5, "age": -1.0}).offsets[0](np.zeros((1, *library.shape), np.float32))
    age = library["age"]
    np.testing.assert_allclose(both, 0.5 * library["smile"].direction - age.opposite * age.direction, atol=1e-5)
