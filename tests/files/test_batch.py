"""Many files: what is found and where it goes, going on after a stop, and that one bad file never stops the rest."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import cli.edit_many
from cli.main import run
from rigid.edits.library import AttributeLibrary
from rigid.files.batch import BatchReport, Report, Settings, edit_files
from rigid.files.batch_plan import find_left_out, is_batch, plan
from rigid.files.edit_job import EditJob
from rigid.files.timeline import ScheduledEdit
from rigid.workers import Outcome, TaskError, work_through

pytestmark = pytest.mark.slow

SETTINGS = Settings({"light": 1.0}, [ScheduledEdit(1.0, "light", 0.5)], False, "tiny", "change")


def open_square() -> Callable[[int], int]:
    """A worker that squares numbers, and is not equal to some of them."""

    def work(number: int) -> int:
        if number == 3:
            raise TaskError("Three is not to be had.")
        if number == 4:
            raise RuntimeError("a fault\nof ours")
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number

    return work


def test_a_task_that_fails_or_kills_its_process_leaves_the_others_be() -> None:
    outcomes = {outcome.task: outcome for outcome in work_through(range(1, 9), open_square, 2)}
    assert {task: outcome.result for task, outcome in outcomes.items() if outcome.error is None} == {
        1: 1, 2: 4, 6: 36, 7: 49, 8: 64,
    }  # fmt: skip
    assert outcomes[3].error == "Three is not to be had."
    assert outcomes[4].error == "RuntimeError: a fault"
    assert "SIGKILL" in (outcomes[5].error or "")


def test_nothing_to_do_starts_no_process() -> None:
    assert list(work_through([], open_square, 4)) == []


def test_leaving_early_ends_the_processes() -> None:
    import multiprocessing

    work = work_through(range(6, 20), open_square, 2)
    assert next(work).error is None
    work.close()
    assert multiprocessing.active_children() == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files that have names alone."""
    for name in ("in/a.mp4", "in/deep/b.PNG", "in/c.wmv", "in/notes.md", "in/.hidden.mp4", "in/out/a.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "in"


def test_a_folder_keeps_its_shape_and_leaves_out_what_is_no_input(folder: Path) -> None:
    out = folder / "out"
    assert is_batch(folder)
    assert plan(folder, out) == {
        folder / "a.mp4": out / "a.mp4",
        folder / "c.wmv": out / "c.wmv.mp4",
        folder / "deep/b.PNG": out / "deep/b.PNG",
    }


def test_a_folder_says_what_it_left_out_and_why(folder: Path) -> None:
    (folder / "raw.CR2").write_text("x")
    (folder / "README").write_text("x")
    (folder / "scan.TIF").write_text("x")
    (folder / "old.psd").write_text("x")
    files = plan(folder, folder / "out")
    assert files[folder / "scan.TIF"] == folder / "out/scan.TIF"
    assert files[folder / "old.psd"] == folder / "out/old.psd.png"
    told = find_left_out(folder, folder / "out")
    assert [path.name for path in told] == ["README", "notes.md", "raw.CR2"]
    assert "ends in .CR2" in told[folder / "raw.CR2"] and "has no ending" in told[folder / "README"]


def test_a_list_is_read_as_seen_from_it_each_file_once(folder: Path, tmp_path: Path) -> None:
    names = folder / "names.txt"
    names.write_text("# mine\na.mp4\n\ndeep/b.PNG\n ./a.mp4 \nmissing.mp4\n../other/x.mov\n")
    assert is_batch(names)
    out = tmp_path / "results"
    assert plan(names, out) == {
        folder / "a.mp4": out / "in/a.mp4",
        folder / "deep/b.PNG": out / "in/deep/b.PNG",
        folder / "missing.mp4": out / "in/missing.mp4",
        tmp_path / "other/x.mov": out / "other/x.mov",
    }


def test_what_cannot_be_a_batch_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "none.txt").write_text("# nothing\n")
    for source, target, said in (
        (folder, tmp_path / "out.mp4", "must be a folder"),
        (folder, folder, "is the input itself"),
        (tmp_path / "empty", tmp_path / "out", "holds no video or image"),
        (tmp_path / "none.txt", tmp_path / "out", "holds no video or image"),
        (tmp_path / "bad.txt", tmp_path / "out", "is not a list"),
        (tmp_path / "gone.txt", tmp_path / "out", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=said):
            plan(source, target)


def open_copy() -> Callable[[EditJob], Report]:
    """A worker that copies a file, and counts."""

    def work(job: EditJob) -> Report:
        text = job.source.read_text()
        if "bad" in text:
            raise ValueError(f"{job.source} holds no frame that can be decoded.")
        job.target.write_text(text)
        return {"frames": 10, "warnings": ["dull"]}

    return work


def edited(files: dict[Path, Path], settings: Settings = SETTINGS) -> BatchReport:
    record = next(iter(files.values())).parent / "batch.json"
    return edit_files(files, settings, open_copy, 2, record, lambda done, doing: None)


def statuses(report: BatchReport) -> list[str]:
    return [str(report.files[name]["status"]) for name in sorted(report.files)]


def test_a_second_run_does_only_what_is_left(tmp_path: Path) -> None:
    files = {tmp_path / f"{name}.png": tmp_path / "out" / f"{name}.png" for name in "abc"}
    for source in files:
        source.write_text("bad" if source.stem == "b" else "good")
    first = edited(files)
    assert statuses(first) == ["done", "failed", "done"]
    assert first.files[str(tmp_path / "b.png")]["error"] == f"{tmp_path / 'b.png'} holds no frame that can be decoded."
    assert (first.frames, first.count("failed")) == (20, 1)
    assert first.warnings(str(tmp_path / "a.png")) == ["dull"]

    (tmp_path / "b.png").write_text("good now")
    assert statuses(edited(files)) == ["skipped", "done", "skipped"]
    (tmp_path / "a.png").write_text("another one")
    (tmp_path / "out/c.png").unlink()
    assert statuses(edited(files)) == ["done", "skipped", "done"]
    assert (tmp_path / "out/a.png").read_text() == "another one"


def test_other_settings_do_everything_again(tmp_path: Path) -> None:
    files = {tmp_path / "a.png": tmp_path / "out" / "a.png"}
    (tmp_path / "a.png").write_text("good")
    assert statuses(edited(files)) == ["done"]
    other = Settings({"light": 0.5}, SETTINGS.schedule, False, "tiny", "change")
    assert statuses(edited(files, other)) == ["done"]
    assert statuses(edited(files, other)) == ["skipped"]
    (tmp_path / "out/batch.json").write_text("{ broken")
    assert statuses(edited(files, other)) == ["done"], "a broken record is no reason to fail"


def test_the_report_counts(tmp_path: Path) -> None:
    files = {tmp_path / "a.png": tmp_path / "out" / "a.png"}
    (tmp_path / "a.png").write_text("good")
    told = edited(files).as_json()
    assert (told["done"], told["skipped"], told["failed"], told["frames"]) == (1, 0, 0, 10)
    assert json.loads(json.dumps(told)) == told


class Closing:
    """A runtime that is only closed."""

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., int]:
    """`rigid-live edit` without networks, its processes replaced by calls."""

    def here(tasks: list[EditJob], open_worker: object, processes: int) -> list[Outcome[EditJob, Report]]:
        return [_outcome(job) for job in tasks]

    library = AttributeLibrary([], n_codes=6, code_size=48)
    monkeypatch.setattr("rigid.edits.library.load_library", lambda profile: library)
    monkeypatch.setattr(cli.edit_many, "open_engine", lambda *_, **__: Closing())
    monkeypatch.setattr("rigid.files.batch.work_through", here)
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(["edit", *map(str, arguments)])


def _outcome(job: EditJob) -> Outcome[EditJob, Report]:
    try:
        return Outcome(job, open_copy()(job), None)
    except ValueError as error:
        return Outcome(job, None, str(error))


def test_the_command_sums_up_and_tells_of_failures_by_its_status(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_text("good")
    (tmp_path / "in/b.png").write_text("bad")
    (tmp_path / "in/c.CR2").write_text("raw")
    assert command("in", "out", "--report", "report.json") == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("out: 1 files done, 0 as they were, 1 failed; 10 frames in ")
    assert "Failed: in/b.png: in/b.png holds no frame" in shown.err
    assert "Left out: in/c.CR2: its name ends in .CR2" in shown.err
    told = json.loads(Path("report.json").read_text())
    assert told["failed"] == 1 and list(told["left_out"]) == ["in/c.CR2"]
    (tmp_path / "in/b.png").unlink()
    assert command("in", "out") == 0
    assert "0 files done, 1 as they were, 0 failed" in capsys.readouterr().out


def test_the_command_refuses_what_cannot_be(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    assert command("in", "out") == 2
    assert command("in", "out.mp4") == 2
    assert command("in", "out", "--jobs", "0") == 2
    told = capsys.readouterr().err
    assert "holds no video or image" in told and "must be a folder" in told
