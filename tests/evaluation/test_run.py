"""A whole evaluation in the tiny world: reports, pictures, resuming, and what bad input gets."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cli.evaluate_options
from cli.main import run
from rigid.evaluation import paper
from rigid.evaluation.fvd import frechet_distance
from rigid.evaluation.measure import EvaluationError
from rigid.evaluation.methods import MethodOptions
from rigid.evaluation.plots import write_plots
from rigid.evaluation.report import Run, means, report_json, report_markdown
from rigid.evaluation.results import Result, ResultStore, hash_of, without_nan
from rigid.evaluation.run import EvaluationJob, count_expected_frames, evaluate
from rigid.evaluation.strips import Rows
from rigid.files.image_reading import read_image
from tests.evaluation.conftest import InTinyWorld
from tests.evaluation.world import make_clip, tools
from tests.fakes import FakeRuntime
from tests.worlds import FaultyRuntime, FixedTracker

CONTRACT = {
    "mse",
    "lpips",
    "warp_error",
    "warp_error_source",
    "tl_id",
    "tg_id",
    "id_source_edited",
    "edit_strength",
    "ms_per_frame",
}
COMMAND = "rigid-live evaluate --videos clips --out out"
LIGHT = {"light": 0.4}


def job(tmp_path: Path, **changes: Any) -> EvaluationJob:
    return replace(EvaluationJob(tmp_path / "clips", tmp_path / "out", LIGHT), **changes)


@pytest.fixture(scope="module")
def done_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two `clips`, and `out` of an evaluation of `rigid` on them."""
    base = tmp_path_factory.mktemp("done")
    (base / "clips").mkdir()
    for name in ("one", "two"):
        make_clip(base / "clips" / f"{name}.mp4")
    evaluate(job(base, methods=["rigid"]), tools(), COMMAND)
    return base


@pytest.fixture
def clips(done_before: Path, tmp_path: Path) -> Path:
    """Two clips."""
    return shutil.copytree(done_before / "clips", tmp_path / "clips")


@pytest.fixture
def measured(done_before: Path, tmp_path: Path, clips: Path) -> Path:
    """The two clips, of which `rigid` was measured before."""
    shutil.copytree(done_before / "out", tmp_path / "out")
    return clips


def test_several_faces_are_measured_each_as_a_clip_of_its_own(clips: Path, tmp_path: Path) -> None:
    run = evaluate(job(tmp_path, methods=("rigid",), names=("one",), max_faces=2), tools(), COMMAND)
    assert {clip for clip, _ in run.results} == {"one-face-1", "one-face-2"}
    first, second = (run.results[f"one-face-{number}", "rigid"] for number in (1, 2))
    assert first.counts == second.counts == {"frames": 5, "face_frames": 5}
    assert first.means["mse"] != second.means["mse"], "each on its own crops"
    alone = evaluate(job(tmp_path, methods=("rigid",), names=("one",), out=tmp_path / "alone"), tools(), COMMAND)
    assert {clip for clip, _ in alone.results} == {"one"}


def blind() -> FixedTracker:
    tracker = FixedTracker()
    tracker.blind = set(range(1000))
    return tracker


def table_rows(text: str, title: str) -> list[list[str]]:
    """The cells of the table below `title`, its header first."""
    section = text.split(title)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_report_has_the_stated_names(tmp_path: Path, clips: Path) -> None:
    evaluate(job(tmp_path, without=["nm"]), tools(), COMMAND)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["methods"]) == ["rigid", "per-frame", "rigid-without-nm"]
    for method in report["methods"].values():
        assert set(method) == {"mean", "clips"} and set(method["clips"]) == {"one", "two"}
        for measures in (method["mean"], *method["clips"].values()):
            assert set(measures) >= CONTRACT and all(isinstance(measures[name], float) for name in CONTRACT)
        one, two = (method["clips"][name]["mse"] for name in ("one", "two"))
        assert method["mean"]["mse"] == pytest.approx((one + two) / 2)
    assert report["command"] == COMMAND and report["edits"] == LIGHT and report["skipped"] == {}


@pytest.mark.slow
def test_tables_are_shaped_like_the_papers(tmp_path: Path, clips: Path) -> None:
    done = evaluate(job(tmp_path, without=["tcc", "lfd"]), tools(), COMMAND)
    text = (tmp_path / "out" / "report.md").read_text()
    assert COMMAND in text
    inversion, editing, variants = (table_rows(text, f"Table {n}") for n in (1, 2, 3))
    for table in (inversion, editing, variants):
        assert len({len(row) for row in table}) == 1
    assert [row[0] for row in inversion[1:3]] == ["**rigid**", "**per-frame**"]
    assert float(inversion[1][2]) == pytest.approx(100 * means(done, "rigid")["mse"], abs=0.01)
    assert ["RIGID (paper), cf. rigid", "RAVDESS-72", "1.040", "0.050", "84.62"] in [row[:5] for row in inversion]
    assert ["RIGID (paper), cf. rigid", "In-the-Wild-36", "0.990", "0.930", "183.36"] in [row[:5] for row in editing]
    ours = [row[0] for row in variants[1:4]]
    assert ours == ["**rigid**", "**rigid-without-tcc**", "**rigid-without-lfd**"]
    assert ["w/o NM (paper)", "RAVDESS-72", "2.280"] in [row[:3] for row in variants]


def test_without_ablations_there_is_no_third_table(tmp_path: Path, clips: Path) -> None:
    evaluate(job(tmp_path), tools(), COMMAND)
    assert "Table 3" not in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.slow
def test_plots_and_strips_are_pictures_of_every_clip(tmp_path: Path, clips: Path) -> None:
    evaluate(job(tmp_path), tools(plot=write_plots), COMMAND)
    for name in ("one", "two"):
        plot = cv2.imread(str(tmp_path / "out" / "plots" / f"{name}.png"))
        assert plot is not None and plot.shape[1] > 1000 and plot.std() > 5
        strip, _ = read_image(tmp_path / "out" / "strips" / f"{name}.png")
        assert strip.shape[0] == 5 * (192 + 26) and strip.shape[1] == 5 * 192
    leftovers = [path for path in (tmp_path / "out").rglob("*") if ".part" in path.name]
    assert not leftovers


def test_progress_counts_every_frame_of_every_method(tmp_path: Path, clips: Path) -> None:
    seen: list[int] = []
    wanted = job(tmp_path, frames=4)
    evaluate(wanted, tools(), COMMAND, seen.append)
    assert seen == list(range(1, 17)) and count_expected_frames(wanted, wanted.check()) == 16


def test_measured_pairs_are_kept(tmp_path: Path, clips: Path) -> None:
    runtime = FakeRuntime()
    evaluate(job(tmp_path, methods=["rigid"]), tools(runtime=runtime), COMMAND)
    first = json.loads((tmp_path / "out" / "report.json").read_text())
    again = FakeRuntime()
    evaluate(job(tmp_path), tools(runtime=again), COMMAND)
    second = json.loads((tmp_path / "out" / "report.json").read_text())
    assert runtime.inverted >= 10 and again.inverted == 0, "per-frame encodes without the runtime"
    assert second["methods"]["rigid"] == first["methods"]["rigid"]
    assert "per-frame" in second["methods"] and "per-frame" not in first["methods"]


def test_an_interrupted_run_goes_on(tmp_path: Path, clips: Path) -> None:
    broken = FaultyRuntime()
    broken.raising = set(range(8, 100))
    with pytest.raises(EvaluationError, match="of two could not be edited"):
        evaluate(job(tmp_path, methods=["rigid"]), tools(runtime=broken), COMMAND)
    assert not (tmp_path / "out" / "report.json").exists()
    mended = FakeRuntime()
    done = evaluate(job(tmp_path, methods=["rigid"]), tools(runtime=mended), COMMAND)
    assert done.clips == ["one", "two"] and 5 <= mended.inverted <= 6, "only the second clip is measured"


@pytest.mark.parametrize(
    "change",
    [
        {"edits": {"light": 0.3}},
        {"frames": 4},
        {"every": 2},
        {"options": MethodOptions(composite="paper")},
    ],
)
def test_other_options_are_measured_anew(tmp_path: Path, measured: Path, change: dict[str, Any]) -> None:
    runtime = FakeRuntime()
    evaluate(job(tmp_path, methods=["rigid"], **change), tools(runtime=runtime), COMMAND)
    assert runtime.inverted >= 8


def test_other_weights_and_other_clips_are_measured_anew(tmp_path: Path, measured: Path) -> None:
    runtime = FakeRuntime()
    evaluate(job(tmp_path, methods=["rigid"]), tools(runtime=runtime, facts={"weights": "new"}), COMMAND)
    assert runtime.inverted >= 10
    make_clip(measured / "two.mp4", frames=4)
    os.utime(measured / "two.mp4", (1, 1))
    runtime = FakeRuntime()
    evaluate(job(tmp_path, methods=["rigid"]), tools(runtime=runtime, facts={"weights": "new"}), COMMAND)
    assert 4 <= runtime.inverted <= 5


def test_options_of_another_method_change_nothing(tmp_path: Path, measured: Path) -> None:
    runtime = FakeRuntime()
    other = MethodOptions(tune_steps=3)
    evaluate(job(tmp_path, methods=["rigid"], options=other), tools(runtime=runtime), COMMAND)
    assert runtime.inverted == 0


def test_a_damaged_result_is_measured_anew(tmp_path: Path, measured: Path) -> None:
    kept = tmp_path / "out" / "measured"
    (kept / "one--rigid.npz").write_bytes(b"half")
    (kept / "two--rigid.json").write_text("{")
    runtime = FakeRuntime()
    evaluate(job(tmp_path, methods=["rigid"]), tools(runtime=runtime), COMMAND)
    assert runtime.inverted >= 10


def test_a_video_without_a_face_is_skipped_and_named(tmp_path: Path, clips: Path) -> None:
    said: list[str] = []
    evaluate(job(tmp_path), tools([blind()], said=said), COMMAND)
    assert said == ["one is left out: no face was found in its first 5 frames."]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["skipped"] == {"one": "no face was found in its first 5 frames"}
    assert set(report["methods"]["rigid"]["clips"]) == {"two"}
    assert "- one: no face was found" in (tmp_path / "out" / "report.md").read_text()


def test_a_face_that_only_flashes_up_is_skipped(tmp_path: Path, clips: Path) -> None:
    said: list[str] = []
    flashing = FixedTracker()
    flashing.blind = {1, 3}
    evaluate(job(tmp_path), tools([flashing], said=said), COMMAND)
    assert said == ["one is left out: no two neighbouring ones of its first 5 frames show a face."]


def test_a_file_that_is_no_video_is_skipped(tmp_path: Path, clips: Path) -> None:
    (clips / "one.mp4").write_bytes(b"no video")
    said: list[str] = []
    done = evaluate(job(tmp_path), tools(said=said), COMMAND)
    assert done.clips == ["two"]
    assert len(said) == 1 and "one.mp4 is not a video that can be read" in said[0]


def test_no_face_anywhere_is_bad_input(tmp_path: Path, clips: Path) -> None:
    with pytest.raises(ValueError, match=r"No video in .*clips could be measured \(one: no face .*; two: no face"):
        evaluate(job(tmp_path), tools([blind(), blind()]), COMMAND)


def result(mse: float, features: dict[str, Any] | None = None) -> Result:
    values = dict.fromkeys(
        ("lpips", "warp_error", "warp_error_source", "warp_error_edited", "warp_ratio", "warp_ratio_edited"), 1.0
    ) | dict.fromkeys(("warp_error_face", "warp_error_face_source", "warp_error_face_edited"), 1.0)
    values |= {"mse": mse, "tl_id": 1.0, "tg_id": 1.0, "id_source_edited": 1.0, "edit_strength": math.nan}
    picture = np.zeros((4, 4, 3), np.uint8)
    counts = {"frames": 5, "face_frames": 4}
    rows = Rows(picture, picture, picture)
    return Result(values | {"ms_per_frame": 540.0}, {"smile": math.nan}, {}, counts, rows, features or {})


def test_fvd_is_of_all_clips_together() -> None:
    random = np.random.default_rng(0)
    features = [{name: random.normal(size=(4, 3)) for name in ("source", "inverted", "edited")} for _ in range(2)]
    run = Run(COMMAND, {}, ["rigid"], {(name, "rigid"): result(0.01, features[i]) for i, name in enumerate("ab")})
    expected = frechet_distance(*(np.concatenate([one[name] for one in features]) for name in ("source", "edited")))
    assert means(run, "rigid")["fvd_edited"] == pytest.approx(expected)
    assert "fvd" in report_json(run)["methods"]["rigid"]["mean"]  # type: ignore[index]
    assert f"{expected:.3f}" in report_markdown(run)


def test_what_was_not_measured_shows_as_a_dash() -> None:
    run = Run(COMMAND, {"profile": "tiny"}, ["rigid"], {("a", "rigid"): result(0.0104)})
    row = table_rows(report_markdown(run), "Table 2")[1]
    assert row == ["**rigid**", "these", "1.000", "1.000", "–", "54.00", "1.000", "–", "1.000"]
    assert table_rows(report_markdown(run), "Table 1")[1][2] == "1.040"


def test_numbers_in_json_are_finite(tmp_path: Path) -> None:
    assert without_nan({"a": math.nan, "b": [1.0, math.inf], "c": "x"}) == {"a": None, "b": [1.0, None], "c": "x"}
    store = ResultStore(tmp_path)
    store.save("a", "rigid", {"edits": LIGHT}, result(0.5))
    kept = store.load("a", "rigid", {"edits": LIGHT})
    assert kept is not None and kept.means["mse"] == 0.5 and math.isnan(kept.means["edit_strength"])
    assert store.load("a", "rigid", {"edits": {}}) is None
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})


def test_the_papers_figures_are_complete() -> None:
    assert all(len(rows) == len(paper.DATA_SETS) for rows in (*paper.INVERSION.values(), *paper.EDITING.values()))
    assert paper.INVERSION["RIGID"][0].warp_error == paper.VARIANTS["RIGID"][0].warp_error == 84.62
    assert set(paper.COUNTERPARTS.values()) <= {*paper.INVERSION, *paper.EDITING}


def test_the_command_writes_a_report_that_names_it(
    tmp_path: Path, clips: Path, in_tiny_world: InTinyWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = in_tiny_world(tools())
    out = tmp_path / "out"
    arguments = ["evaluate", "--videos", str(clips), "--out", str(out), "--set", "light=0.4", "--engine", "torch"]
    assert run([*arguments, "--methods", "rigid, per-frame", "--without", "nm,lfd", "--frames", "3"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert list(report["methods"]) == ["rigid", "per-frame", "rigid-without-nm", "rigid-without-lfd"]
    assert report["frames_per_clip"] == 3 and opened[0]["i3d"] is None
    command = report["command"]
    for part in (
        "rigid-live evaluate",
        "--videos ",
        "--set light=0.4",
        "--without nm,lfd",
        "--engine torch",
        "--frames 3",
    ):
        assert part in command
    captured = capsys.readouterr()
    assert "report.md: the tables" in captured.out and "Evaluating: done" in captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "rigid,stit"], "There is no method 'stit'; choose from: rigid, per-frame, optimise, tune."),
        (["--methods", ","], "No method was named"),
        (["--without", "hair"], "--without takes tcc, nm, lfd, steadying, drawing, not 'hair'."),
        (["--without", "tc"], "--without tc is no switch"),
        (["--set", "smile"], "'smile' is not an edit"),
        (["--set", "smile=9"], "out of range"),
        (["--set", "smile=0"], "No edit was asked for"),
        (["--set", "wings=1"], "There is no attribute 'wings'"),
        (["--frames", "1"], "--frames"),
        (["--engine", "gpu"], "There is no engine 'gpu'"),
        (["--profile", "mobile-9"], "There is no profile 'mobile-9'"),
        (["--clip", "three"], "There is no clip 'three'; choose from: one, two."),
        (["--split", "val"], "There is no index.json"),
        (["--i3d", "none.pt"], "There is no file none.pt"),
        (["--sheet", "--set", "smile=0"], "A sheet has a column for each edit"),
        (["--sheet", "--set", "smile=1", "--set", "smile=1"], "A sheet has a column for each edit"),
        (["--sheet", "--set", "wings=1"], "There is no attribute 'wings'"),
        (["--sheet", "--clip", "three"], "There is no clip 'three'"),
        (["--sheet", "--judged", "none.csv"], "none.csv is no list of judged cells"),
        (["--judged", "none.csv"], "--judged goes with --sheet"),
    ],
)
def test_bad_options_are_one_sentence_and_status_2(
    tmp_path: Path, clips: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "--videos", str(clips), "--out", str(tmp_path / "out"), *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("Error: ") and said in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_folders_that_cannot_be_are_status_2(tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, taken = tmp_path / "empty", tmp_path / "taken"
    empty.mkdir()
    taken.write_text("")
    out = str(tmp_path / "out")
    for videos, target, said in (
        (empty, out, "There is no video in"),
        (tmp_path / "none", out, "There is no folder"),
        (clips, str(taken), "is a file; --out takes a folder"),
    ):
        assert run(["evaluate", "--videos", str(videos), "--out", target]) == 2
        assert said in capsys.readouterr().err


def test_a_missing_library_is_told_before_anything_is_loaded(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert run(["evaluate", "--videos", str(clips), "--out", str(tmp_path / "out")]) == 1
    assert "needs dlib, which is not installed; run pip install 'rigid-live[evaluate]'" in capsys.readouterr().err


def test_the_command_is_registered_with_the_defaults_of_the_job() -> None:
    assert cli.evaluate_options.DEFAULT_EDIT == "smile=1"
    assert EvaluationJob(Path(), Path(), LIGHT).methods == ("rigid", "per-frame")
