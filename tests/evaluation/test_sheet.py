"""Contact sheets: in the tiny world, and with the real networks on two clips and three edits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.main import run
from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.edits.library import AttributeLibrary, load_library
from rigid.evaluation.cells import GREY, grey_beyond
from rigid.evaluation.contact_sheet import COLUMNS, HEIGHT, PER_PAGE, WIDTH, draw_pages
from rigid.evaluation.fault_signs import FAULTS, Signs
from rigid.evaluation.sheet import SheetJob, SheetTools, all_edits, make_sheet
from rigid.evaluation.sheet_report import Row, agreement, read_judged
from rigid.evaluation.sheet_report import Sheet as Drawn
from rigid.files.image_reading import read_image
from tests.clips import write_clip
from tests.evaluation.conftest import InTinyWorld
from tests.evaluation.world import make_clip
from tests.fakes import TINY, FakeRuntime
from tests.worlds import FRAME_SHAPE, FixedTracker

COMMAND = "rigid-live evaluate --out out --videos clips --sheet"
VALIDATION_CLIPS = ("LivePortrait_s20", "VideoReTalking_1")


def library() -> AttributeLibrary:
    """One attribute, `light`, which brightens what the fake runtime draws, or darkens it."""
    direction = np.full((TINY.n_codes, TINY.code_size), 0.5, np.float32)
    light = replace(next(iter(load_library("mobile-256"))), name="light", min=-1.0, direction=direction, motion=None)
    return AttributeLibrary([light], n_codes=TINY.n_codes, code_size=TINY.code_size)


def tools(runtime: FakeRuntime | None = None, said: list[str] | None = None, *, blind: bool = False) -> SheetTools:
    def tracker() -> FixedTracker:
        found = FixedTracker()
        found.blind = {3} if blind else set()
        return found

    return SheetTools(
        runtime or FakeRuntime(), library(), tracker, {"weights": "none"}, (said if said is not None else []).append
    )


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("one", "two"):
        make_clip(folder / f"{name}.mp4", frames=6)
    return folder


def job(tmp_path: Path, **changes: Any) -> SheetJob:
    return replace(SheetJob(tmp_path / "clips", tmp_path / "out", all_edits(library()), frames=4), **changes)


def test_every_clip_is_shown_under_every_edit_with_its_signs(tmp_path: Path, clips: Path) -> None:
    seen: list[int] = []
    make_sheet(job(tmp_path), tools(), COMMAND, seen.append)
    report = json.loads((tmp_path / "out" / "sheet.json").read_text())
    assert [(cell["clip"], cell["edit"]) for cell in report["cells"]] == [
        (clip, edit) for clip in ("one", "two") for edit in ("light+1", "light-1")
    ]
    for cell in report["cells"]:
        assert set(cell["signs"]) == {"seam", "double_edges", "half_edit", "flicker"}
        assert cell["faults"] == [fault for fault in FAULTS if fault in cell["faults"]]
        assert cell["warp_ratio"] > 0 and cell["shares"] and cell["flickers"]
    assert report["command"] == COMMAND and report["edits"]["light+1"]["cells"] == 2 and seen == [1, 2, 3, 4]
    for edit in ("light+1", "light-1"):
        page, _ = read_image(tmp_path / "out" / "pages" / f"{edit}-1.png")
        assert page.shape[1] > COLUMNS * WIDTH and page.shape[0] > HEIGHT and page.std() > 5
    assert "| light-1 | 2 |" in (tmp_path / "out" / "sheet.md").read_text()


def test_an_edit_shows_in_the_picture_after(tmp_path: Path, clips: Path) -> None:
    make_sheet(job(tmp_path), tools(), COMMAND)
    cell, _ = read_image(tmp_path / "out" / "cells" / "one--light+1.png")
    before, after = cell[60:140, 60:140].mean(), cell[60:140, 260:340].mean()
    assert after > before + 10


def test_beyond_the_frame_a_cell_is_grey() -> None:
    frame, aligned = np.full((40, 40, 3), 200, np.uint8), np.full((64, 64, 3), 200, np.uint8)
    face = FixedTracker().track(np.zeros((*FRAME_SHAPE[:2], 3), np.uint8), 0.0)
    assert face is not None
    shown = grey_beyond(frame, replace(face, transform=np.array([[1.0, 0, 0], [0, 1.0, 12]])), aligned)
    assert (shown[:11] == GREY).all() and (shown[:, 41:] == GREY).all() and (shown[13:50, :39] == 200).all()


def test_an_edit_that_moves_the_face_tells_of_flicker_alone(tmp_path: Path, clips: Path) -> None:
    light = library()["light"]
    moving = replace(light, motion=np.full((2, 478, 2), 0.01, np.float32), motion_gain=1.0)
    # only where the noise map holds edits back are landmarks moved besides
    runtime = FakeRuntime(replace(TINY, edit_gain=1.5))
    edits = AttributeLibrary([moving], n_codes=TINY.n_codes, code_size=TINY.code_size)
    shifted = replace(tools(runtime), library=edits)
    make_sheet(job(tmp_path), shifted, COMMAND)
    for cell in json.loads((tmp_path / "out" / "sheet.json").read_text())["cells"]:
        assert cell["signs"]["seam"] is None and cell["signs"]["double_edges"] is None and cell["shares"] == {}
        assert cell["flickers"] and set(cell["faults"]) <= {"flicker"}


def test_cells_are_kept_until_something_changes(tmp_path: Path, clips: Path) -> None:
    first, again, other = FakeRuntime(), FakeRuntime(), FakeRuntime()
    make_sheet(job(tmp_path), tools(first), COMMAND)
    report = (tmp_path / "out" / "sheet.json").read_text()
    make_sheet(job(tmp_path), tools(again), COMMAND)
    assert first.inverted > 0 and again.inverted == 0 and (tmp_path / "out" / "sheet.json").read_text() == report
    (tmp_path / "out" / "cells" / "one--light+1.json").write_text("{")
    make_sheet(job(tmp_path), tools(other), COMMAND)
    assert 0 < other.inverted < first.inverted / 2


def test_a_clip_that_loses_its_face_is_left_out_and_named(tmp_path: Path, clips: Path) -> None:
    (clips / "one.mp4").write_bytes(b"no video")
    said: list[str] = []
    assert make_sheet(job(tmp_path), tools(said=said), COMMAND).skipped.keys() == {"one"}
    assert len(said) == 1 and said[0].startswith("one is left out: ")
    with pytest.raises(ValueError, match=r"No video in .* could be used \(one: .*; two: its middle 4 frames"):
        make_sheet(job(tmp_path, out=tmp_path / "blind"), tools(blind=True), COMMAND)


def test_pages_hold_only_so_many_cells() -> None:
    cells = [(str(i), np.zeros((HEIGHT, WIDTH, 3), np.uint8)) for i in range(PER_PAGE + 1)]
    first, second = draw_pages("smile+1", cells)
    assert first.shape[0] > 2 * second.shape[0] and first.shape[1] == second.shape[1]


def test_signs_are_compared_with_the_eye(tmp_path: Path) -> None:
    path = tmp_path / "judged.csv"
    path.write_text("clip,edit,faulty\none,smile+1,yes\ntwo,smile+1,no\none,age+1,yes\nelsewhere,age+1,no\n")
    clean, torn = Signs(0.0, 0.0, {}, {}), Signs(9.0, 0.0, {}, {})
    drawn = Drawn([Row("one", "smile+1", torn, 1.0), Row("two", "smile+1", torn, 1.0), Row("one", "age+1", clean, 1.0)])
    found = agreement(drawn, read_judged(path))
    assert found == {
        "judged": 3,
        "agree": 1,
        "both": 1,
        "eye_only": 1,
        "signs_only": 1,
        "share": pytest.approx(1 / 3),
    }


@pytest.mark.parametrize("text", ["", "clip,edit\none,smile+1\n", "clip,edit,faulty\none,smile+1,perhaps\n"])
def test_a_list_that_judges_nothing_is_bad_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "judged.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"judge"):
        read_judged(path)


def test_the_command_draws_a_sheet_that_names_it(
    tmp_path: Path, clips: Path, in_tiny_world: InTinyWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    in_tiny_world(tools())
    out = tmp_path / "out"
    arguments = ["evaluate", "--sheet", "--videos", str(clips), "--out", str(out), "--engine", "torch", "--frames", "3"]
    assert run([*arguments, "--set", "light=0.5", "--set", "light=-0.5"]) == 0
    report = json.loads((out / "sheet.json").read_text())
    assert list(report["edits"]) == ["light+0.5", "light-0.5"] and report["frames"] == 3
    assert report["command"].startswith("rigid-live evaluate --out ") and report["command"].endswith("--sheet")
    assert "sheet.md" in capsys.readouterr().out


def _shown_in_turn(pictures: list[Pixels]) -> Callable[[int, tuple[int, int]], Pixels]:
    return lambda number, _: pictures[number]


@pytest.fixture(scope="module")
def two_clips(store: AssetStore, data_dir: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two clips of people; of generated ones where `RIGID_LIVE_DATA` is not set."""
    folder = tmp_path_factory.mktemp("clips")
    if data_dir is not None:
        for name in VALIDATION_CLIPS:
            (folder / f"{name}.mp4").symlink_to(data_dir / "clips" / f"{name}.mp4")
        return folder
    from engines import load_runtime
    from rigid.evaluation.generated import Generated
    from rigid.models.build import build_mapping, mean_code

    print("RIGID_LIVE_DATA is not set: the sheet shows generated faces.")
    runtime = load_runtime("mobile-256", "torch", store=store)
    faces = Generated(runtime, load_library("mobile-256"), build_mapping(store), mean_code("mobile-256"))
    for seed, codes in enumerate(faces.codes(2, seed=5, truncation=(0.6, 0.6))):
        pictures = list(faces.walk(codes, 3, seed))
        stamps = tuple(range(0, 120, 40))
        size = (runtime.sizes.image_size, runtime.sizes.image_size)
        write_clip(folder / f"face-{seed}.mp4", stamps, size=size, picture=_shown_in_turn(pictures), sound=None)
    runtime.close()
    return folder


@pytest.mark.slow
def test_two_people_under_three_edits_show_them_without_torn_faces(
    two_clips: Path, tmp_path: Path, store: AssetStore
) -> None:
    edits = ("smile=1", "glasses=1", "age=1")
    chosen = [part for edit in edits for part in ("--set", edit)]
    out = tmp_path / "out"
    arguments = ["evaluate", "--sheet", "--videos", str(two_clips), "--out", str(out), "--frames", "3"]
    assert run([*arguments, *chosen]) == 0
    report = json.loads((out / "sheet.json").read_text())
    assert len(report["cells"]) == 6 and report["skipped"] == {}
    # regions that an edit hardly changes have no share
    assert all(0.3 < share < 1.5 for cell in report["cells"] for share in cell["shares"].values())
    assert not any("seam" in cell["faults"] for cell in report["cells"])
    assert len(list((out / "pages").glob("*.png"))) == 3
