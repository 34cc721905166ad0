"""The benchmark's figures, on a tiny world; and its command's bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli.main import run
from engines import EngineError
from engines.batching import BatchedRuntime
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.files.image_reading import read_image
from rigid.stream.face_stream import FaceStream
from server.backend import Backend
from server.bench.benchmark import BenchmarkJob, run_benchmark, strong_edit
from server.bench.clip import SIZE, read_clip, render_clip, walk
from server.bench.measure import STAGES, WARM_UP_FRAMES, Measure, measure, there_and_back
from server.bench.scale import scale_batches, scale_resolutions
from tests.clips import write_clip
from tests.fakes import TINY, FakeRuntime
from tests.worlds import FaultyRuntime, FixedTracker, make_stream, textured_frame

pytestmark = pytest.mark.slow

FRAMES = [textured_frame(seed) for seed in range(4)]
LIGHT = {"light": 1.0}


def attribute(name: str, low: float = -1.0, high: float = 1.0) -> Attribute:
    direction = np.full((TINY.n_codes, TINY.code_size), 0.5, np.float32)
    return Attribute(name, name, "test", low, high, 0.0, "", "by hand", direction)


def library(*attributes: Attribute) -> AttributeLibrary:
    return AttributeLibrary(attributes, n_codes=TINY.n_codes, code_size=TINY.code_size)


class TinyBackend(Backend):
    """A backend in the tiny world."""

    def __init__(self, runtime: FakeRuntime, attributes: AttributeLibrary, tracker: FixedTracker | None = None):
        super().__init__(runtime, attributes, Path())
        self.streams: list[FaceStream] = []
        self._tracker = tracker

    def make_stream(self) -> FaceStream:
        assert isinstance(self.runtime, FakeRuntime)
        self.streams.append(FaceStream(self.runtime, self._tracker or FixedTracker(), self.library))
        return self.streams[-1]


def test_every_session_gets_its_turns() -> None:
    runtime = BatchedRuntime(FakeRuntime(delay_seconds=0.005))
    measured = measure(lambda: make_stream(runtime), FRAMES, LIGHT, n=3, seconds=0.5)
    runtime.close()
    frames = len(measured.frame_ms)
    warm_up = 3 * (WARM_UP_FRAMES + 1)  # a stream's first frame goes twice through a recurrent encoder
    calls = sum(calls * rounds for calls, rounds in runtime.batches.items())
    assert frames >= 6 and calls == 2 * (frames + warm_up)
    assert measured.face_frames == measured.edited_frames == frames and not measured.errors
    run = {stage: len(times) for stage, times in measured.stages.items()}
    assert run == dict.fromkeys(STAGES, frames) | {"parse": 0}, "this runtime has no face parser"
    # Each network call sleeps 5 ms, and a session's frames are generated one after another.
    assert measured.stage_ms()["invert"] >= 5 and measured.stage_ms()["synthesize"] >= 5
    assert measured.frame_percentiles()["p95"] >= measured.frame_percentiles()["p50"] >= 10
    assert measured.fps <= 3 * 1000 / 10


def test_a_measurement_lasts_as_long_as_asked_and_closes_its_streams() -> None:
    trackers = [FixedTracker(), FixedTracker()]
    waiting = iter(trackers)
    measured = measure(lambda: make_stream(tracker=next(waiting)), FRAMES, LIGHT, n=2, seconds=0.2)
    assert len(measured.frame_ms) / measured.fps >= 0.2
    assert all(tracker.closed for tracker in trackers)


def test_failing_frames_are_counted() -> None:
    runtime = FaultyRuntime()
    runtime.raising = set(range(10_000))
    measured = measure(lambda: make_stream(runtime), FRAMES[:1], LIGHT, n=1, seconds=0.05)
    assert len(measured.errors) == len(measured.frame_ms) > 0
    assert measured.edited_frames == 0 and measured.stage_ms()["blend"] == 0


def test_the_report_has_the_stated_names() -> None:
    backend = TinyBackend(FakeRuntime(), library(attribute("age"), attribute("smile")))
    slow = TinyBackend(FakeRuntime(delay_seconds=0.05), backend.library)
    seen: list[tuple[str, int]] = []
    done = run_benchmark(
        BenchmarkJob("tiny", FRAMES, [2, 1], 0.2),
        backend,
        lambda: slow,
        lambda engine, measured: seen.append((engine, measured.n)),
    )
    assert seen == [("fake", 2), ("fake", 1), ("eager", 1)]
    assert {"machine", "profile", "engine", "sessions", "eager", "speedup_vs_eager"} <= set(done)
    assert done["profile"] == "tiny" and done["engine"] == "fake" and done["edits"] == {"smile": 1.0}
    assert done["frame_size"] == [128, 96]
    first = done["sessions"][0]  # type: ignore[index]
    assert {"n", "fps", "frame_ms", "stage_ms", "memory_mb"} <= set(first)
    assert set(first["frame_ms"]) == {"p50", "p95"}
    assert set(first["stage_ms"]) == {"align", "invert", "synthesize", "parse", "blend"}
    assert json.loads(json.dumps(done)) == done
    assert slow.runtime.closed, "the reference is not needed any longer"  # type: ignore[attr-defined]


def test_without_pytorch_there_is_no_ratio_to_it() -> None:
    backend = TinyBackend(FakeRuntime(), library(attribute("smile")))
    done = run_benchmark(BenchmarkJob("tiny", FRAMES, [1], 0.1), backend, None, lambda engine, measured: None)
    assert done["eager"] is done["speedup_vs_eager"] is None and len(done["sessions"]) == 1  # type: ignore[arg-type]


def test_speedup_is_of_the_fewest_sessions() -> None:
    backend = TinyBackend(FakeRuntime(delay_seconds=0.01), library(attribute("smile")))
    eager = TinyBackend(FakeRuntime(delay_seconds=0.1), backend.library)
    measures: dict[tuple[str, int], Measure] = {}

    def keep(engine: str, measured: Measure) -> None:
        measures[engine, measured.n] = measured

    done = run_benchmark(BenchmarkJob("tiny", FRAMES, [2, 1], 0.2), backend, lambda: eager, keep)
    assert done["speedup_vs_eager"] == round(measures["fake", 1].fps / measures["eager", 1].fps, 2)


def test_a_clip_without_a_face_is_refused() -> None:
    blind = FixedTracker()
    blind.blind = set(range(10_000))
    backend = TinyBackend(FakeRuntime(), library(attribute("smile")), blind)
    with pytest.raises(ValueError, match="No face was found in the clip; give --input"):
        run_benchmark(BenchmarkJob("tiny", FRAMES, [1], 0.05), backend, lambda: backend, lambda *_: None)


def test_failing_frames_end_the_benchmark() -> None:
    runtime = FaultyRuntime()
    runtime.raising = set(range(3, 10_000))
    backend = TinyBackend(runtime, library(attribute("smile")))
    with pytest.raises(EngineError, match="frames failed: RuntimeError: the engine broke"):
        run_benchmark(BenchmarkJob("tiny", FRAMES, [1], 0.05), backend, lambda: backend, lambda *_: None)


def test_the_edit_is_a_strong_one() -> None:
    assert strong_edit(library(attribute("age"), attribute("yaw"))) == {"age": 1.0}
    assert strong_edit(library(attribute("age", low=-2.0, high=0.0))) == {"age": -2.0}
    with pytest.raises(ValueError, match="no attributes"):
        strong_edit(library())


def test_memory_is_what_the_process_grew_by_for_each_session() -> None:
    measured = measure(make_stream, FRAMES, LIGHT, n=2, seconds=0.02)
    grown = replace(measured, process_mb=160.0).as_json(base_mb=100.0)
    assert grown["memory_mb"] == 30.0 and grown["process_mb"] == 160.0 and grown["n"] == 2


def test_frames_are_played_without_a_cut() -> None:
    assert [there_and_back(step, 4) for step in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [there_and_back(step, 1) for step in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (320, 180)])
def test_any_clip_fills_the_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    write_clip(tmp_path / "clip.mp4", size=size)
    frames = read_clip(tmp_path / "clip.mp4", count=5)
    assert [frame.shape for frame in frames] == [(SIZE[1], SIZE[0], 3)] * 5
    assert frames[0].std() > 5, "the clip's picture, not its border"


def test_the_walk_is_closed_and_smooth() -> None:
    codes = walk(lambda z: 3 * z, np.zeros(32, np.float32), 60)
    steps = np.linalg.norm(np.roll(codes, -1, 0) - codes, axis=1)
    assert codes.shape == (60, 32) and codes.dtype == np.float32
    assert steps.max() < 0.15 * np.linalg.norm(codes[0] - codes[15]) and codes.std(0).max() > 0


def test_rendered_frames_show_the_generated_face_in_the_middle() -> None:
    frames = render_clip(FakeRuntime(), lambda z: z, np.zeros(TINY.code_size, np.float32), count=8)
    assert len(frames) == 8 and all(frame.shape == (480, 640, 3) and frame.dtype == np.uint8 for frame in frames)
    assert np.abs(frames[0].astype(int) - frames[2]).max() > 10, "the face changes"


@pytest.mark.parametrize("value", ["", "0", "1,x", "-1", "1.5"])
def test_a_wrong_number_of_sessions_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--sessions", value]) == 2
    assert f"--sessions is {value!r}; give whole numbers" in capsys.readouterr().err


def test_a_missing_folder_for_the_plot_is_told_before_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", "--plot", str(tmp_path / "none" / "bench.png")]) == 2
    assert "There is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--engine", "gpu"], ["--profile", "mobile-9"], ["--seconds", "0"]])
def test_unknown_names_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and arguments[1] in message


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    backend = TinyBackend(FakeRuntime(), library(attribute("smile")))
    done = run_benchmark(BenchmarkJob("tiny", FRAMES, [1, 2], 0.05), backend, lambda: backend, lambda *_: None)
    # The other tests of the server need not wait for what draws.
    from server.bench.plot import plot

    plot(done, tmp_path / "bench.png")
    height, width, _ = read_image(tmp_path / "bench.png")[0].shape
    assert width > 2 * height > 400


def test_cost_by_batch_and_by_size() -> None:
    runtime = FakeRuntime()
    rows = scale_batches(runtime, [1, 3])
    assert [row["batch"] for row in rows] == [1, 3]
    assert all(row["ms_a_face"] > 0 for row in rows) and max(runtime.batches) == 3
    sizes = scale_resolutions(lambda: make_stream(runtime), FRAMES, LIGHT, [48, 96])
    assert [(row["width"], row["height"]) for row in sizes] == [(64, 48), (128, 96)]
    assert all(row["align_ms"] > 0 and row["blend_ms"] > 0 for row in sizes)


@pytest.mark.parametrize("command", ["export", "scale"])
def test_unknown_profiles_are_usage_errors(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", command, "--profile", "mobile-9"]) == 2
    assert "mobile-9" in capsys.readouterr().err
