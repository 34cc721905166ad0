from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigid.discovery.calibrate import Aim, Faces, find_scale, try_edit
from rigid.discovery.discover import Bench, Found, discover, discover_one, prepare
from rigid.discovery.recipes import Recipe
from rigid.discovery.report import calibration_table, entanglement, write_report
from rigid.discovery.samples import CHUNK_FACES, Samples, Studio, take_samples
from rigid.discovery.sheet import GAP, TITLE, contact_sheet, overview, read_sheet, write_sheet
from rigid.discovery.statement import read_statements
from rigid.edits.library import read_library
from tests.discovery.world import CODE_SIZE, MEASURES, N_CODES, World, draw, true_slopes

SMILE = Recipe(
    name="smile",
    label="Smile",
    group="expression",
    measure="smile",
    change=0.75,
    spans=((0, 0), (1, 1), (1, 2)),
    two_way=True,
    ceiling=1.0,
    floor=-1.0,
    held=("smile", "age", "yaw"),
    order=7,
)


def bench(world: World, cache: Path, count: int = 384) -> Bench:
    studio = Studio(world.synthesize, world)
    real = draw(5, 9)
    return prepare(studio, draw, draw, count=count, seed=0, cache=cache, fingerprint="world", real=real)


def run(world: World, out: Path, recipe: Recipe = SMILE) -> list[Found]:
    return discover(bench(world, out / "faces"), [recipe], out)


def test_discovery_writes_an_edit_of_the_stated_strength(tmp_path: Path) -> None:
    (found,) = run(World(), tmp_path)
    library = read_library([tmp_path / "smile.safetensors"], n_codes=N_CODES, code_size=CODE_SIZE)
    edit = library["smile"].offset(1.0)
    np.testing.assert_allclose(edit, found.edit, atol=1e-6)
    change = dict(zip(MEASURES, np.einsum("mcd,cd->m", true_slopes(), edit), strict=True))
    assert change["smile"] == pytest.approx(0.75, rel=0.1)
    assert abs(change["age"]) < 0.08 and abs(change["yaw"]) < 0.05
    assert not edit[0].any()
    smile = library["smile"]
    assert smile.target == 0.75 and smile.measure == "smile" and smile.min == -1
    assert smile.effect.startswith("+0.7")


def test_a_direction_is_fitted_to_what_it_aims_at_and_its_strength_is_set_by_its_measure(tmp_path: Path) -> None:
    (found,) = run(World(), tmp_path, replace(SMILE, aims=(("smile", 1.0), ("age", 1.0)), spans=((1, 1),)))
    change = dict(zip(MEASURES, np.einsum("mcd,cd->m", true_slopes(), found.edit), strict=True))
    assert change["smile"] == pytest.approx(0.75, rel=0.1)
    assert change["age"] == pytest.approx(change["smile"], rel=0.15), "both measures vary alike between faces"
    assert abs(change["yaw"]) < 0.05


def test_a_statement_tells_what_was_reached_on_whom(tmp_path: Path) -> None:
    (found,) = run(World(), tmp_path)
    said = read_statements(tmp_path / "statements")["smile"]
    assert said == found.statement
    assert said.reached["generated"] == pytest.approx(0.75, rel=0.1)
    assert said.reached["generated_back"] == pytest.approx(-0.75, rel=0.1)
    assert said.reached["clips"] == pytest.approx(0.75, rel=0.1)
    assert 100 < said.faces["generated"] <= 200 and said.faces["clips"] <= 9
    assert said.entangled["smile"] > 1 > abs(said.entangled["age"])
    assert said.lost == 0 and said.identity is None


def test_a_report_holds_both_tables(tmp_path: Path) -> None:
    (found,) = run(World(), tmp_path)
    one = found.statement
    other = replace(one, name="age", measure="age", reached={"generated": 3.0}, faces={"generated": 4}, identity=0.9)
    write_report(tmp_path, [one, other], {"samples": 384})
    names, table = entanglement([one, other])
    assert names == list(MEASURES) and table.shape == (2, 3)
    assert table[0, 0] == one.entangled["smile"]
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["samples"] == 384 and record["attributes"]["smile"]["target"] == 0.75
    rows = calibration_table([one, other]).splitlines()
    assert rows[3] == "| age | age | +0.75 | +3 (4) |  |  |  |  | 0.90 |"
    assert (tmp_path / "entanglement.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "calibration.md").read_text().splitlines() == rows


def test_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    (first,), (second,) = run(World(), tmp_path / "a"), run(World(), tmp_path / "b")
    np.testing.assert_array_equal(first.edit, second.edit)


def test_faces_are_kept_and_depend_on_the_fingerprint(tmp_path: Path) -> None:
    world = World()
    studio = Studio(world.synthesize, world)

    def label(fingerprint: str) -> Samples:
        *_, samples = take_samples(studio, draw, 100, 0, tmp_path, fingerprint)
        assert isinstance(samples, Samples)
        return samples

    first = label("one")
    assert first.codes.shape == (100, N_CODES, CODE_SIZE) and first.measures.shape == (100, 3)
    assert world.pictures == world.observed == 2 * CHUNK_FACES
    np.testing.assert_array_equal(label("one").measures, first.measures)
    assert world.pictures == world.observed == 2 * CHUNK_FACES
    label("two")
    assert world.pictures == world.observed == 4 * CHUNK_FACES
    np.testing.assert_allclose(first.measures, np.einsum("mcd,bcd->bm", true_slopes(), first.codes), atol=0.25)


def test_pictures_that_are_there_are_only_measured_anew(tmp_path: Path) -> None:
    world = World()
    studio = Studio(world.synthesize, world)
    before = list(take_samples(studio, draw, CHUNK_FACES, 0, tmp_path, "world"))[-1]
    world.version = "2"
    world.faceless = True
    after = list(take_samples(studio, draw, CHUNK_FACES, 0, tmp_path, "world"))[-1]
    assert isinstance(before, Samples) and isinstance(after, Samples)
    assert len(before.codes) == CHUNK_FACES and len(after.codes) == 0
    assert world.pictures == CHUNK_FACES


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    world = World()
    steps = take_samples(Studio(world.synthesize, world), draw, 4 * CHUNK_FACES, 0, tmp_path, "world")
    assert next(steps) == 0 and next(steps) == CHUNK_FACES
    del steps
    assert len(list(tmp_path.glob("faces-world-*.npz"))) == 1
    seen = world.observed
    *_, samples = take_samples(Studio(world.synthesize, world), draw, 4 * CHUNK_FACES, 0, tmp_path, "world")
    assert isinstance(samples, Samples) and len(samples.codes) == 4 * CHUNK_FACES
    assert world.observed == seen + 3 * CHUNK_FACES


def test_an_attribute_out_of_reach_is_left_out_and_said(tmp_path: Path) -> None:
    lines: list[str] = []
    ready = bench(World(), tmp_path / "faces")
    far = replace(SMILE, name="grin", change=80.0)
    found = discover(ready, [far, SMILE], tmp_path, lines.append)
    assert [one.header.name for one in found] == ["smile"]
    assert any("No direction changes smile by 80" in line for line in lines)
    assert any("No direction changes smile by 40" in line for line in lines)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["smile.safetensors"]
    with pytest.raises(ValueError, match="No held-out face has room for smile"):
        discover_one(ready, replace(SMILE, ceiling=-100.0))
    assert discover_one(ready, replace(SMILE, floor=100.0)).header.opposite == 1.0


def test_what_no_stated_face_has_room_for_is_found_but_not_stated(tmp_path: Path) -> None:
    studio = Studio(World().synthesize, World())
    ready = prepare(studio, draw, draw, count=384, seed=0, cache=tmp_path, fingerprint="world", stating=1)
    lowest = replace(SMILE, ceiling=float(ready.witnesses.generated.measures[0, 0]) - 0.01, two_way=False)
    found = discover_one(ready, lowest)
    assert found.header.effect == "" and not found.statement.reached and found.header.target == 0.75


def test_the_strength_is_found_from_a_poor_guess_in_both_directions() -> None:
    world = World()
    studio = Studio(world.synthesize, world)
    faces = Faces.make_found(studio, draw(0, 16))
    edit = true_slopes()[0]
    found = find_scale(studio, faces, edit, Aim(0, 0.75), 8.0)
    assert found is not None
    assert found[0] * float((edit**2).sum()) == pytest.approx(0.75, rel=0.1)
    assert found[1].change[0] == pytest.approx(0.75, rel=0.05)
    assert find_scale(studio, faces, -edit, Aim(0, 0.75), 1.0) is None
    back = find_scale(studio, faces, -edit, Aim(0, -0.75), 1.0)
    assert back is not None and back[0] == pytest.approx(found[0], rel=0.1)


def test_faces_lost_to_an_edit_are_counted() -> None:
    world = World()
    studio = Studio(world.synthesize, world)
    faces = Faces.make_found(studio, draw(0, 4))
    world.faceless = True
    outcome = try_edit(studio, faces, true_slopes()[0])
    assert outcome.lost == 1.0 and np.isnan(outcome.change).all()


def test_a_contact_sheet_shows_every_strength(tmp_path: Path) -> None:
    world = World()
    studio = Studio(world.synthesize, world)
    sheet = contact_sheet(studio, draw(0, 2), lambda s: np.float32(s) * true_slopes()[0], (-1.0, 0.0, 1.0), size=24)
    assert sheet.shape == (48, 72, 3) and sheet.dtype == np.uint8
    smile = sheet[4, [12, 36, 60], 0].astype(int)
    assert smile[0] < smile[1] < smile[2]
    write_sheet(tmp_path / "sheets" / "smile.png", sheet)
    np.testing.assert_array_equal(read_sheet(tmp_path / "sheets" / "smile.png"), sheet)


def test_an_overview_has_a_line_an_attribute() -> None:
    sheet = np.zeros((48, 72, 3), np.uint8)
    sheet[24:] = 200
    picture = overview({"smile": sheet, "age": sheet}, 2, cell=20)
    assert picture.shape == (40, TITLE + 2 * (GAP + 60), 3)
    assert picture[10, TITLE + GAP + 30, 0] == 0 and picture[30, TITLE + 2 * GAP + 90, 0] == 200
    assert picture[:20, :TITLE].min() < 100
