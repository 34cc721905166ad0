"""Attribute files measured as they are, in a world where a smile's slope is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigid.discovery.calibrate import Faces
from rigid.discovery.discover import STATING_SEED
from rigid.discovery.measure import Measuring, generate_witnesses, measure_files
from rigid.discovery.samples import Studio
from rigid.discovery.statement import Statement, Witnesses, read_statements
from rigid.discovery.video_gain import load_calibrated
from rigid.edits.attribute_file import read_attribute, write_attribute
from rigid.edits.attribute_header import AttributeHeader
from rigid.models.contract import Sizes
from tests.discovery.world import CODE_SIZE, N_CODES, World, draw, true_slopes

SIZES = Sizes(24, N_CODES, CODE_SIZE, 1, (1, 1, 1), (1, 1, 1))
GROWN = np.float32(0.5) * true_slopes()[0]
"""Raises the measure `smile` by half its squared slope."""
CHANGE = float((true_slopes()[0] * GROWN).sum())


def written(folder: Path, name: str = "smile", **values: float) -> Path:
    header = AttributeHeader(
        name,
        name.title(),
        "expression",
        "by hand",
        1.0,
        tuple(range(N_CODES)),
        opposite=2.0,
        effect="as of old",
        measure=name,
        target=0.2,
        identity=0.5,
        calibration={"generated": 7.0, "video": 0.15, "video_back": -0.25},
        measured={"video_faces": 4.0, "lost_at_1": 0.5},
    )
    path = folder / f"{name}.safetensors"
    write_attribute(path, replace(header, **values), GROWN)  # type: ignore[arg-type]
    return path


def wanted(out: Path, **values: bool) -> Measuring:
    return Measuring("tiny", out, faces=40, **values)  # type: ignore[arg-type]


def witnesses(clips: int = 0) -> Witnesses:
    world = World()
    studio = Studio(world.synthesize, world)
    seen = generate_witnesses(studio, draw, wanted(Path()))
    return replace(seen, real=Faces.make_found(studio, draw(5, clips))) if clips else seen


def measured(folder: Path, out: Path, clips: int = 0, **values: bool) -> list[Statement]:
    return measure_files(load_calibrated(folder, (), SIZES), witnesses(clips), SIZES, wanted(out, **values))


def test_the_faces_are_those_a_discovery_holds_out() -> None:
    seen = witnesses()
    np.testing.assert_array_equal(seen.generated.codes, draw(STATING_SEED, 40))
    np.testing.assert_allclose(seen.deviations, seen.generated.measures.std(0))


def test_a_file_is_stated_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    (said,) = measured(tmp_path, tmp_path / "out", clips=9)
    assert said.target == 0.2
    assert said.reached["generated"] == pytest.approx(CHANGE, rel=0.15)
    assert said.reached["generated_back"] == pytest.approx(-2 * CHANGE, rel=0.15)
    assert said.reached["clips"] == pytest.approx(CHANGE, rel=0.15)
    assert said.entangled["smile"] == pytest.approx(CHANGE / witnesses().deviations[0], rel=0.15)
    assert abs(said.entangled["yaw"]) < 0.02
    assert path.read_bytes() == before


def test_what_the_file_says_of_video_is_kept(tmp_path: Path) -> None:
    written(tmp_path)
    (said,) = measured(tmp_path, tmp_path / "out")
    assert (said.reached["video"], said.reached["video_back"]) == (0.15, -0.25)
    assert said.faces["video"] == 4 and "video_back" not in said.faces and "clips" not in said.reached
    assert "| +0.15 (4) | -0.25 |" in (tmp_path / "out" / "calibration.md").read_text()


def test_a_header_takes_the_figures_on_request(tmp_path: Path) -> None:
    path = written(tmp_path)
    (said,) = measured(tmp_path, tmp_path / "out", write=True)
    stored = read_attribute(path, n_codes=N_CODES, code_size=CODE_SIZE)
    header = stored.header
    assert header.calibration == said.reached
    assert header.measured == said.summary and header.measured["lost_at_1"] == 0 and header.measured["video_faces"] == 4
    assert header.effect.startswith(f"{said.reached['generated']:+.2g} ")
    # nobody was there to tell faces apart
    assert header.identity == 0.5
    np.testing.assert_array_equal(stored.direction, GROWN)


def test_the_report_has_what_was_measured_before(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = written(tmp_path)
    measured(tmp_path, out)
    path.unlink()
    written(tmp_path, "age")
    measured(tmp_path, out)
    record = json.loads((out / "report.json").read_text())
    assert list(record["attributes"]) == ["smile", "age"] == sorted(read_statements(out / "statements"), reverse=True)
    assert record["faces"] == 40 and "generated" in record["deviations"]
    assert (out / "entanglement.png").read_bytes().startswith(b"\x89PNG")
