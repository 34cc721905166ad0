from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigid.attributes.calibrate import Faces, find_scale, try_edit
from rigid.attributes.discover import Found, discover
from rigid.attributes.library import read_library
from rigid.attributes.recipes import Recipe
from rigid.attributes.samples import Samples, Studio, take_samples
from rigid.attributes.sheet import contact_sheet, write_sheet
from tests.attributes.world import CODE_SIZE, MEASURES, N_CODES, World, draw, true_slopes

SMILE = Recipe(
    name="smile",
    label="Smile",
    group="expression",
    measure="smile",
    change=0.75,
    effect="{} smile",
    controls=("age", "yaw"),
    order=1,
    spans=((0, 0), (1, 1), (1, 2)),
)


def run(world: World, out: Path, recipe: Recipe = SMILE, count: int = 400) -> list[Found]:
    studio = Studio(world.synthesize, world)
    return discover(studio, draw, draw, [recipe], count=count, seed=0, out=out, fingerprint="world")


def test_discovery_writes_an_edit_of_the_stated_strength(tmp_path: Path) -> None:
    (found,) = run(World(), tmp_path)
    library = read_library([tmp_path / "smile.safetensors"], n_codes=N_CODES, code_size=CODE_SIZE)
    edit = library.offset({"smile": 1.0})
    np.testing.assert_allclose(edit, found.edit, atol=1e-6)
    change = dict(zip(MEASURES, np.einsum("mcd,cd->m", true_slopes(), edit), strict=True))
    assert change["smile"] == pytest.approx(0.75, rel=0.1)
    assert abs(change["age"]) < 0.05 and abs(change["yaw"]) < 0.05
    assert not edit[0].any()
    assert library["smile"].effect.startswith("+0.7")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["attributes"]["smile"]["change_at_1"] == pytest.approx(0.75, rel=0.1)
    assert report["attributes"]["smile"]["change_at_minus_1"] == pytest.approx(-0.75, rel=0.1)


def test_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    (first,), (second,) = run(World(), tmp_path / "a"), run(World(), tmp_path / "b")
    np.testing.assert_array_equal(first.edit, second.edit)


def test_labels_are_kept_and_depend_on_the_fingerprint(tmp_path: Path) -> None:
    world = World()
    studio = Studio(world.synthesize, world)

    def label(fingerprint: str) -> Samples:
        *_, samples = take_samples(studio, draw, 100, 0, tmp_path, fingerprint)
        assert isinstance(samples, Samples)
        return samples

    first = label("one")
    assert first.codes.shape == (100, N_CODES, CODE_SIZE) and first.measures.shape == (100, 3)
    made = world.pictures
    np.testing.assert_array_equal(label("one").measures, first.measures)
    assert world.pictures == made
    label("two")
    assert world.pictures == 2 * made
    world.measures = ("grin", *MEASURES[1:])
    label("two")
    assert world.pictures == 3 * made
    np.testing.assert_allclose(first.measures, np.einsum("mcd,bcd->bm", true_slopes(), first.codes), atol=8 / 127)


def test_an_attribute_out_of_reach_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No direction changes smile by 50"):
        run(World(), tmp_path, replace(SMILE, change=50.0))
    with pytest.raises(ValueError, match="No held-out face has room"):
        run(World(), tmp_path, replace(SMILE, ceiling=-100.0))
    assert not list(tmp_path.glob("*.safetensors"))


def test_the_strength_is_found_from_a_poor_guess() -> None:
    world = World()
    studio = Studio(world.synthesize, world)
    faces = Faces.taken(studio, draw(0, 16))
    edit = true_slopes()[0]
    scale = find_scale(studio, faces, edit, SMILE, 8.0)
    assert scale is not None
    assert scale * float((edit**2).sum()) == pytest.approx(0.75, rel=0.1)
    assert find_scale(studio, faces, -edit, SMILE, 1.0) is None


def test_faces_lost_to_an_edit_are_counted() -> None:
    world = World()
    studio = Studio(world.synthesize, world)
    faces = Faces.taken(studio, draw(0, 4))
    world.faceless = True
    outcome = try_edit(studio, faces, true_slopes()[0])
    assert outcome.lost == 1.0 and np.isnan(outcome.change).all()


def test_a_contact_sheet_shows_every_strength(tmp_path: Path) -> None:
    world = World()
    studio = Studio(world.synthesize, world)
    sheet = contact_sheet(studio, draw(0, 2), lambda s: np.float32(s) * true_slopes()[0], (-1.0, 0.0, 1.0), size=16)
    assert sheet.shape == (32, 48, 3) and sheet.dtype == np.uint8
    smile = sheet[8, [8, 24, 40], 0].astype(int)
    assert smile[0] < smile[1] < smile[2]
    write_sheet(tmp_path / "sheets" / "smile.png", sheet)
    assert (tmp_path / "sheets" / "smile.png").stat().st_size > 0
