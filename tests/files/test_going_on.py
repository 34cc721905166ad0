"""Long films: what an interrupted run leaves, and that the next one goes on from there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rigid.arrays import Pixels
from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.edit_report import EditReport
from rigid.files.journal import name_unfinished
from rigid.files.read_ahead import read_ahead
from rigid.files.timeline import ScheduledEdit
from tests.clips import audio_packets, frames_of, number_in, numbered, write_clip
from tests.fakes import FakeRuntime
from tests.files.test_films import write_film
from tests.worlds import make_stream, textured_frame

STAMPS = tuple(sorted({*range(0, 1400, 40), 417, 901}))
SIZE = (128, 96)
FORMATS = [(".mp4", "yuv420p"), (".mkv", "yuv420p"), (".webm", "yuv420p"), (".avi", "yuv420p"), (".mp4", "yuv420p10le")]


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rigid.files.edit_video.CHECKPOINT", 10)


def scene(number: int, size: tuple[int, int]) -> Pixels:
    """A face that an edit changes, below the frame's number."""
    picture = textured_frame(number // 20, (size[1], size[0], 3)).copy()
    picture[:16] = numbered(number, (size[0], 32))[:16]
    return picture


def clip(folder: Path, pixel_format: str) -> Path:
    if pixel_format == "yuv420p":
        return write_clip(folder / "in.mkv", STAMPS, size=SIZE, picture=scene, sound="libopus")
    return write_film(folder / "in.mkv", "ffv1", pixel_format, len(STAMPS))


def stop_at(frames: int) -> object:
    def progress(done: int, total: int | None) -> None:
        if done == frames:
            raise KeyboardInterrupt

    return progress


def job(source: Path, target: Path, light: float = 1.0) -> EditJob:
    return EditJob(source, target, {"light": light}, [ScheduledEdit(1.2, "light", 0.2)])


def interrupted(source: Path, target: Path, frames: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        edit_file(job(source, target), make_stream, "tiny", stop_at(frames))  # type: ignore[arg-type]


def gone_on(todo: EditJob) -> tuple[EditReport, int]:
    """The report, and how many frames the networks saw."""
    runtime = FakeRuntime()
    report = edit_file(todo, lambda: make_stream(runtime), "tiny")
    return report, runtime.inverted


@pytest.mark.parametrize(("suffix", "pixel_format"), FORMATS)
def test_an_interrupted_film_goes_on_and_comes_out_as_if_it_had_not_been(
    suffix: str, pixel_format: str, tmp_path: Path
) -> None:
    source, target, whole = clip(tmp_path, pixel_format), tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}"
    interrupted(source, target, 25)
    assert not target.exists() and name_unfinished(target).is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", name_unfinished(target).name}
    report, seen = gone_on(job(source, target))
    assert seen == len(STAMPS) - 20, "the first twenty frames were there"
    assert report.frames == report.face_frames == len(STAMPS)
    assert any("20 frames" in note for note in report.notes)
    edit_file(job(source, whole), make_stream, "tiny")
    assert not name_unfinished(target).exists() and not name_unfinished(whole).exists()
    first, second = frames_of(whole), frames_of(target)
    assert [stamp for stamp, _ in second] == [stamp for stamp, _ in first]
    if pixel_format == "yuv420p":
        assert [number_in(picture[:32]) for _, picture in second] == [number % 64 for number in range(len(STAMPS))]
        assert audio_packets(target) == audio_packets(whole)
    difference = np.abs(np.array([p for _, p in first], int) - np.array([p for _, p in second], int))
    assert difference.mean() < 1.5


def test_interrupted_twice_it_goes_on_twice(tmp_path: Path) -> None:
    source, target = clip(tmp_path, "yuv420p"), tmp_path / "out.mp4"
    interrupted(source, target, 15)
    interrupted(source, target, 25)
    report, seen = gone_on(job(source, target))
    assert (seen, report.frames, len(frames_of(target))) == (len(STAMPS) - 20, len(STAMPS), len(STAMPS))


@pytest.mark.parametrize("what", ["other edits", "another input", "damage"])
def test_what_does_not_fit_is_begun_anew(what: str, tmp_path: Path) -> None:
    source, target = clip(tmp_path, "yuv420p"), tmp_path / "out.mp4"
    interrupted(source, target, 25)
    if what == "another input":
        write_clip(source, STAMPS[:-1], size=SIZE, picture=scene, sound=None)
    if what == "damage":
        packets = name_unfinished(target) / "packets"
        packets.write_bytes(packets.read_bytes()[:50])
    report, seen = gone_on(job(source, target, 0.7 if what == "other edits" else 1.0))
    assert report.frames == len(frames_of(target)) == len(STAMPS) - (what == "another input")
    assert seen >= report.frames
    assert not name_unfinished(target).exists()


def test_a_film_that_ends_on_a_checkpoint_is_whole(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", STAMPS[:20], size=SIZE, picture=scene)
    report = edit_file(job(source, tmp_path / "out.mp4"), make_stream, "tiny")
    assert report.frames == len(frames_of(tmp_path / "out.mp4")) == 20
    assert not name_unfinished(tmp_path / "out.mp4").exists()


# decoding, editing and encoding overlap


def test_items_are_made_ahead_and_never_more_than_asked_for() -> None:
    made: list[int] = []
    room = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            room.release()
            yield number

    with read_ahead(items(), 3) as ahead:
        assert next(ahead) == 0
        for _ in range(5):  # one taken, three waiting, one in hand
            assert room.acquire(timeout=10)
        assert len(made) <= 6
        assert list(ahead) == list(range(1, 20))


def test_what_fails_ahead_is_raised_where_it_is_taken() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk broke")

    with read_ahead(items(), 2) as ahead:
        assert next(ahead) == 1
        with pytest.raises(OSError, match="the disk broke"):
            next(ahead)


def test_leaving_early_ends_the_thread() -> None:
    with read_ahead(iter(range(1000)), 2) as ahead:
        assert next(ahead) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "read ahead"]
