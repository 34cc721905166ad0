"""The file job: a whole clip or image edited, what is reported, and what bad input gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from cli.main import run
from rigid.arrays import Pixels
from rigid.atomic_files import write_json
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.image_reading import read_image
from rigid.files.image_writing import write_image
from rigid.files.timeline import ScheduledEdit, Timeline, parse_edit, parse_scheduled
from rigid.models.contract import CLASSES
from tests.clips import audio_packets, frames_of, number_in, write_clip
from tests.fakes import TINY, FakeRuntime
from tests.worlds import FRAME_SHAPE, EditOn, FaultyRuntime, FixedTracker, make_stream, textured_frame

LIGHT = {"light": 1.0}
SIZE = (FRAME_SHAPE[1], FRAME_SHAPE[0])
STAGES = {"decode", "align", "invert", "synthesize", "parse", "blend", "encode"}


def scene(number: int, size: tuple[int, int]) -> Pixels:
    return textured_frame(shape=(size[1], size[0], 3))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Half a second of a face, 128 x 96."""
    return write_clip(tmp_path / "in.mp4", size=SIZE, picture=scene)


def brightness(path: Path) -> list[float]:
    """The mean grey of the middle of every frame."""
    return [float(picture[38:58, 54:74].mean()) for _, picture in frames_of(path)]


def test_every_frame_comes_out_edited_at_its_time_with_its_sound(clip: Path, tmp_path: Path) -> None:
    target, steps = tmp_path / "out.mp4", []
    job = EditJob(clip, target, LIGHT)
    report = edit_file(job, make_stream, "tiny", lambda done, total: steps.append((done, total)))
    assert [time for time, _ in frames_of(target)] == [time for time, _ in frames_of(clip)]
    assert audio_packets(target) == audio_packets(clip)
    before, after = np.array(brightness(clip)), np.array(brightness(target))
    assert (after - before).min() > 20
    assert steps == [(done, 12) for done in range(1, 13)]
    assert (report.frames, report.face_frames, report.edited_frames, report.failed_frames) == (12, 12, 12, 0)


def test_the_report_has_the_names_others_read(clip: Path, tmp_path: Path) -> None:
    runtime = FakeRuntime(replace(TINY, n_classes=len(CLASSES)))
    report = edit_file(EditJob(clip, tmp_path / "out.mp4", LIGHT), lambda: make_stream(runtime), "tiny")
    path = tmp_path / "report.json"
    write_json(path, report.as_json())
    written = json.loads(path.read_text())
    assert {"frames", "face_frames", "seconds", "fps", "profile", "engine", "stage_ms"} <= written.keys()
    assert set(written["stage_ms"]) == STAGES
    assert all(value > 0 for value in written["stage_ms"].values())
    assert (written["frames"], written["profile"], written["engine"]) == (12, "tiny", "fake")
    assert written["fps"] == pytest.approx(12 / written["seconds"], rel=0.05)
    assert written["warnings"] == []


def test_without_an_edit_every_frame_stays_as_it_is(clip: Path, tmp_path: Path) -> None:
    report = edit_file(EditJob(clip, tmp_path / "out.mkv", {}), make_stream, "tiny")
    before, after = (np.array([p for _, p in frames_of(path)], int) for path in (clip, tmp_path / "out.mkv"))
    assert np.abs(after - before).mean() < 4, "only the codec's loss"
    assert abs((after - before).mean()) < 0.5
    assert report.edited_frames == 0
    assert len(report.warnings) == 1 and "No edit was asked for" in report.warnings[0]
    assert report.as_json()["stage_ms"]["synthesize"] == 0.0  # type: ignore[index]


def test_a_scheduled_edit_starts_at_its_time_and_glides(tmp_path: Path) -> None:
    stamps = tuple(range(0, 2000, 40))
    source = write_clip(tmp_path / "in.mp4", stamps, size=SIZE, picture=scene, sound=None)
    job = EditJob(source, tmp_path / "out.mp4", {}, [ScheduledEdit(1.0, "light", 1.0)])
    report = edit_file(job, make_stream, "tiny")
    rise = np.array(brightness(tmp_path / "out.mp4")) - np.array(brightness(source))
    assert np.abs(rise[:25]).max() < 2
    assert rise[40:].min() > 20
    assert 2 < rise[30] < rise[40:].min()
    assert report.edited_frames == 24


def test_comparing_puts_the_input_on_the_left(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    edit_file(EditJob(clip, target, LIGHT, compare=True), make_stream, "tiny")
    for (_, before), (_, shown) in zip(frames_of(clip), frames_of(target), strict=True):
        assert shown.shape == (96, 256, 3)
        assert np.abs(shown[:, :128].astype(int) - before).mean() < 3
        assert shown[38:58, 182:202].mean() - before[38:58, 54:74].mean() > 20


def test_a_clip_without_a_face_is_written_with_a_warning(clip: Path, tmp_path: Path) -> None:
    tracker = FixedTracker()
    tracker.blind = set(range(100))
    report = edit_file(EditJob(clip, tmp_path / "out.mp4", LIGHT), lambda: make_stream(tracker=tracker), "tiny")
    assert len(frames_of(tmp_path / "out.mp4")) == 12
    assert report.face_frames == 0
    assert len(report.warnings) == 1 and "No face was found" in report.warnings[0]
    assert tracker.closed


def test_a_frame_that_fails_is_written_unedited_and_counted(clip: Path, tmp_path: Path) -> None:
    runtime = FaultyRuntime()
    runtime.poisoned_images = {5}
    report = edit_file(EditJob(clip, tmp_path / "out.mp4", LIGHT), lambda: make_stream(runtime), "tiny")
    assert (report.frames, report.failed_frames) == (12, 1)
    assert report.warnings == ["Frame 5 could not be edited: " + report.warnings[0].partition(": ")[2]]
    assert len(frames_of(tmp_path / "out.mp4")) == 12


def test_an_edit_after_the_end_is_told(clip: Path, tmp_path: Path) -> None:
    job = EditJob(clip, tmp_path / "out.mp4", LIGHT, [ScheduledEdit(99.0, "light", 0.0)])
    assert edit_file(job, make_stream, "tiny").warnings == ["The clip ends before 99 s, where light was to change."]


def test_variable_frame_times_pass_through_the_whole_job(tmp_path: Path) -> None:
    stamps = (0, 33, 100, 140, 400, 433, 900)
    source = write_clip(tmp_path / "in.mkv", stamps, size=SIZE, sound=None)
    edit_file(EditJob(source, tmp_path / "out.mp4", {}), make_stream, "tiny")
    frames = frames_of(tmp_path / "out.mp4")
    assert [time for time, _ in frames] == [Fraction(stamp, 1000) for stamp in stamps]
    assert [number_in(picture) for _, picture in frames] == list(range(7))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_job_leaves_no_output(error: type[BaseException], clip: Path, tmp_path: Path) -> None:
    tracker = FixedTracker()

    def stop(done: int, total: int | None) -> None:
        if done == 5:
            raise error

    with pytest.raises(error):
        edit_file(EditJob(clip, tmp_path / "out.mp4", LIGHT), lambda: make_stream(tracker=tracker), "tiny", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    assert tracker.closed


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_an_image_is_edited_at_full_strength(suffix: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / f"out{suffix}"
    write_image(source, textured_frame())
    report = edit_file(EditJob(source, target, LIGHT), make_stream, "tiny")
    image, alpha = read_image(target)
    assert alpha is None and image.shape == FRAME_SHAPE
    difference = image.astype(int) - textured_frame()
    assert difference[38:58, 54:74].mean() > 20
    assert np.abs(difference[:8]).mean() < 4
    assert (report.frames, report.face_frames) == (1, 1)
    assert set(report.as_json()["stage_ms"]) == STAGES  # type: ignore[call-overload]


def test_an_image_keeps_its_transparency(tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.webp"
    alpha = np.tile(np.arange(128, dtype=np.uint8), (96, 1))
    write_image(source, textured_frame(), alpha)
    edit_file(EditJob(source, target, LIGHT), make_stream, "tiny")
    _, kept = read_image(target)
    np.testing.assert_array_equal(kept, alpha)


def test_a_photo_turned_in_its_metadata_is_read_upright(tmp_path: Path) -> None:
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(textured_frame()[:, :, ::-1]))
    # an APP1 segment that holds the one Exif tag "orientation", 6: turn by a quarter clockwise
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    segment = b"Exif\x00\x00" + tiff
    path = tmp_path / "turned.jpg"
    encoded = data.tobytes()
    path.write_bytes(encoded[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + encoded[2:])
    image, _ = read_image(path)
    assert image.shape == (128, 96, 3)
    assert np.abs(image.astype(int) - np.rot90(textured_frame(), -1)).mean() < 8


@pytest.mark.parametrize("text", ["smile", "smile=", "=1", "smile=nan", "smile=inf", "smile=a lot", ""])
def test_what_is_no_edit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write NAME=STRENGTH"):
        parse_edit(text)


@pytest.mark.parametrize("text", ["age=1", "-1:age=1", "nan:age=1", "soon:age=1", "1:", "1:age=inf"])
def test_what_is_no_timed_edit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write (SECONDS:)?NAME=STRENGTH"):
        parse_scheduled(text)


def test_edits_are_read_as_written() -> None:
    assert parse_edit("smile=-0.5") == ("smile", -0.5)
    assert parse_scheduled("2.5:age=1") == ScheduledEdit(2.5, "age", 1.0)


def test_the_timeline_merges_what_starts_at_once_and_what_comes_later() -> None:
    timeline = Timeline({"smile": 0.5}, [ScheduledEdit(2.0, "age", 1.0), ScheduledEdit(1.0, "smile", -1.0)])
    assert timeline.at(0.0) == {"smile": 0.5}
    assert -1 < timeline.at(1.2)["smile"] < 0.5
    assert timeline.at(1.5) == {"smile": -1.0}
    assert [entry.name for entry in timeline.unreached] == ["age"]
    assert timeline.at(3.0) == {"smile": -1.0, "age": 1.0}


def test_an_edit_scheduled_for_the_start_is_there_at_the_start() -> None:
    assert Timeline({}, [ScheduledEdit(0.0, "age", 1.0)]).at(0.0) == {"age": 1.0}


# the command


def tiny_library(profile: str) -> AttributeLibrary:
    if profile != "mobile-256":
        raise ValueError(f"There is no profile {profile!r}; choose one of: mobile-256.")
    direction = np.full((TINY.n_codes, TINY.code_size), 0.5, np.float32)
    light = Attribute("light", "Light", "test", -1.0, 1.0, 0.0, "strength", "made by hand", direction)
    return AttributeLibrary([light], n_codes=TINY.n_codes, code_size=TINY.code_size)


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, edit_on: EditOn, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., int]:
    """Runs `rigid-live edit` in a folder of its own, on the fake engine."""

    monkeypatch.setattr("rigid.edits.library.load_library", tiny_library)
    edit_on(make_stream)
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(["edit", *map(str, arguments)])


def test_the_command_edits_and_reports(
    command: Callable[..., int], clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = command("in.mp4", "out.mp4", "--set", "light=1", "--at", "0.2:light=0", "--report", "report.json")
    assert status == 0
    assert len(frames_of(Path("out.mp4"))) == 12
    assert json.loads(Path("report.json").read_text())["frames"] == 12
    assert run(["verify", "out.mp4"]) == 0
    assert command("in.mp4", "bare.mp4", "--set", "light=1", "--no-sign") == 0
    assert run(["verify", "bare.mp4"]) == 1
    shown = capsys.readouterr()
    assert "out.mp4: 12 frames, 12 with a face" in shown.out
    assert "Editing in.mp4" in shown.err and "\x1b" not in shown.err, "plain lines where there is no terminal"


def test_a_preset_begins_and_what_goes_beyond_is_flagged(
    command: Callable[..., int],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RIGID_LIVE_CONFIG", str(tmp_path))
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "bright.json").write_text('{"edits": {"light": 1.5}}', encoding="utf-8")
    assert command("in.mp4", "preset.mp4", "--preset", "bright") == 0
    assert "light at 1.5 is beyond -1 to 1" in capsys.readouterr().err
    assert command("in.mp4", "set.mp4", "--set", "light=1.5") == 0
    assert command("in.mp4", "over.mp4", "--preset", "bright", "--set", "light=0") == 0
    frames = [[picture for _, picture in frames_of(Path(f"{name}.mp4"))] for name in ("preset", "set", "over")]
    assert all(np.array_equal(a, b) for a, b in zip(frames[0], frames[1], strict=True))
    assert not np.array_equal(frames[0][-1], frames[2][-1])
    assert command("in.mp4", "out.mp4", "--preset", "dark") == 2
    assert "no preset 'dark'; choose from: bright" in capsys.readouterr().err.replace("\n", " ")


BAD = [
    (["missing.mp4", "out.mp4"], "There is no file missing.mp4"),
    (["empty.mp4", "out.mp4"], "is empty (0 bytes)"),
    (["empty.png", "out.png"], "is empty (0 bytes)"),
    (["text.mp4", "out.mp4"], "is not a video that can be read"),
    (["text.jpg", "out.jpg"], "is not an image that can be read"),
    ([".", "out.mp4"], "is a folder"),
    (["in.mp4", "in.mp4"], "is the input itself"),
    (["in.mp4", "./in.mp4"], "is the input itself"),
    (["in.mp4", "out.xyz"], "must have an extension for a video"),
    (["in.mp4", "out"], "must have an extension for a video"),
    (["in.mp4", "out.png"], "must have an extension for a video"),
    (["still.png", "out.mp4"], "must have an extension for an image"),
    (["still.png", "out.png", "--at", "1:light=1"], "is a still image"),
    (["in.mp4", "nowhere/out.mp4"], "There is no folder nowhere"),
    (["in.mp4", "out.mp4", "--report", "nowhere/r.json"], "There is no folder nowhere"),
    (["in.mp4", "out.mp4", "--set", "lihgt=1"], "did you mean 'light'?"),
    (["in.mp4", "out.mp4", "--set", "light=3"], "out of range"),
    (["in.mp4", "out.mp4", "--set", "light=nan"], "write NAME=STRENGTH"),
    (["in.mp4", "out.mp4", "--at", "1:light=9"], "out of range"),
    (["in.mp4", "out.mp4", "--at", "light=1"], "write SECONDS:NAME=STRENGTH"),
    (["in.mp4", "out.mp4", "--profile", "huge"], "There is no profile 'huge'"),
    (["in.mp4", "out.mp4", "--composite", "magic"], "change"),
    (["sound.mkv", "out.mp4"], "has no video stream"),
    (["in.mp4", "out.mp4", "--c2pa-key", "text.jpg"], "key alone cannot sign"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_gets_one_sentence_and_status_2(
    arguments: list[str], message: str, command: Callable[..., int], clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("empty.mp4", b""), ("empty.png", b""), ("text.mp4", b"text\n" * 99), ("text.jpg", b"text")):
        Path(name).write_bytes(content)
    write_image(Path("still.png"), textured_frame())
    write_sound_alone(Path("sound.mkv"))
    before = sorted(Path().rglob("*"))
    assert command(*arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown.replace("\n", " ")
    assert "Traceback" not in shown
    assert sorted(Path().rglob("*")) == before, "nothing is left behind"


def write_sound_alone(path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        audio = container.add_stream("flac", rate=48000)
        assert isinstance(audio, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="stereo")
        frame.rate = 48000
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def test_no_face_is_told_and_is_no_failure(
    command: Callable[..., int], clip: Path, edit_on: EditOn, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = FixedTracker()
    tracker.blind = set(range(100))
    edit_on(lambda: make_stream(tracker=tracker))
    assert command("in.mp4", "out.mp4", "--set", "light=1") == 0
    assert "Warning: No face was found in in.mp4" in capsys.readouterr().err
    assert Path("out.mp4").exists()
