"""Frames through a session's stream: whatever fails, a picture comes out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from av import VideoFrame

from rigid.arrays import Pixels
from rigid.files.badge import Badge
from rigid.stream.frame_record import FrameRecord
from server.frames.edit_timeline import SessionEdits
from server.frames.frame_arrays import to_rgb
from server.frames.frame_editor import FrameEditor, SessionFrame
from server.frames.worker import InferenceWorker
from tests.patience import PATIENCE_SECONDS
from tests.server.world import CLOCK, PaintedResult, PaintingStream
from tests.worlds import make_stream, textured_frame


def picture(pts: int | None, side: int = 64) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.full((side, side, 3), 100, np.uint8), format="rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = pts, CLOCK
    return frame


class Untouched(PaintingStream):
    """Finds no face."""

    def step(self, frame: Pixels, edits: object, timestamp: float) -> PaintedResult:
        return PaintedResult(frame, face=False, edited=False)


def process(stream: PaintingStream, *frames: VideoFrame, edits: SessionEdits | None = None) -> list[SessionFrame]:
    done: list[SessionFrame] = []
    editor = FrameEditor(stream, edits or SessionEdits(), done.append, clock=ticking())
    for frame in frames:
        editor.process(SessionFrame(source=frame, arrived=9.5))
    return done


def ticking() -> Callable[[], float]:
    times = iter(np.arange(10.0, 20.0, 0.125))
    return lambda: float(next(times))


def test_an_edited_picture_keeps_its_time_and_tells_what_it_took() -> None:
    edits = SessionEdits()
    rev = edits.set({"smile": 1.0}, 0.0)
    (done,) = process(PaintingStream(), picture(9000), edits=edits)
    assert done.shown is not None
    assert (done.shown.pts, done.shown.time_base) == (9000, CLOCK)
    assert (done.rev, done.face, done.error) == (rev, True, None)
    assert done.stage_ms == {"wait": 625.0, "align": 1.0, "invert": 2.0}


def test_an_unedited_picture_is_the_one_that_came() -> None:
    frame = picture(0)
    (done,) = process(Untouched(), frame)
    assert done.shown is frame
    assert not done.face


def test_what_the_next_picture_needs_is_done_once_this_one_is_sent() -> None:
    order: list[str] = []

    class Late(PaintingStream):
        def catch_up(self) -> None:
            order.append("caught up")

    editor = FrameEditor(Late(), SessionEdits(), lambda done: order.append("sent"), clock=ticking())
    editor.process(SessionFrame(source=picture(0), arrived=9.5))
    assert order == ["sent", "caught up"]


class Listening(PaintingStream):
    """Notes which pictures are hurried."""

    def __init__(self) -> None:
        super().__init__()
        self.hurried: list[bool] = []

    def generate(self, located: FrameRecord, edits: Mapping[str, float]) -> FrameRecord:
        self.hurried.append(located.hurried)
        return super().generate(located, edits)


@pytest.mark.parametrize(("arrived", "hurried"), [(9.995, False), (9.98, True)])
def test_a_picture_that_had_to_wait_is_hurried(arrived: float, hurried: bool) -> None:
    stream = Listening()
    editor = FrameEditor(stream, SessionEdits(), lambda done: None, clock=lambda: 10.0)
    editor.process(SessionFrame(source=picture(0), arrived=arrived))
    assert stream.hurried == [hurried]


def test_what_a_picture_waits_between_its_stages_counts() -> None:
    stream, now = Listening(), [10.0]
    editor = FrameEditor(stream, SessionEdits(), lambda done: None, clock=lambda: now[0])
    begun = editor.locate(SessionFrame(source=picture(0), arrived=10.0))
    assert begun is not None
    now[0] += 0.02
    editor.generate(begun)
    assert stream.hurried == [True]


def test_the_stream_is_told_the_seconds() -> None:
    stream = PaintingStream()
    process(stream, picture(0), picture(45000))
    assert stream.times == [0.0, 0.5]


def test_a_ramp_takes_its_time_in_the_video_however_long_the_frames_take() -> None:
    edits, stream = SessionEdits(), PaintingStream()
    done: list[SessionFrame] = []
    hours = iter(np.arange(0.0, 1e6, 3600.0))
    editor = FrameEditor(stream, edits, done.append, clock=lambda: float(next(hours)))
    for number in range(6):
        if number == 1:
            edits.set({"smile": 1.0}, 0.4, "linear")
        editor.process(SessionFrame(source=picture(9000 * number), arrived=0.0))
    # it begins with the frame that was shown when it was asked for
    assert stream.strengths == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])


def test_after_a_gap_in_the_video_a_ramp_does_not_jump() -> None:
    edits = SessionEdits()
    edits.at(0.0)
    edits.set({"smile": 1.0}, 1.0, "linear")
    assert edits.at(30.0)[0] == pytest.approx({"smile": 0.1})
    assert edits.at(30.5)[0] == pytest.approx({"smile": 0.6})


def test_a_cross_fade_takes_away_what_the_new_set_lacks() -> None:
    edits = SessionEdits()
    edits.set({"smile": 1.0, "age": -0.5}, 0.0)
    edits.at(0.0)
    edits.set({"beard": 1.0}, 0.2)
    rev = edits.set({"age": 0.5, "yaw": 0.2}, 1.0, "linear", alone=True)
    assert edits.targets == {"smile": 0.0, "age": 0.5, "beard": 0.0, "yaw": 0.2}
    halfway, applied = edits.at(0.05)
    assert applied == rev == 3
    assert halfway == pytest.approx({"smile": 0.95, "age": -0.45, "beard": 0.0, "yaw": 0.01})
    assert edits.at(1.0)[0] == pytest.approx({"smile": 0.0, "age": 0.5, "beard": 0.0, "yaw": 0.2})


def test_a_failing_frame_passes_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    frames = [picture(0), picture(1), picture(2)]
    done = process(PaintingStream(failing=lambda number: number <= 2), *frames)
    assert [one.shown is frame for one, frame in zip(done, frames, strict=True)] == [True, True, False]
    assert [one.error for one in done] == ["RuntimeError: the engine lost its device"] * 2 + [None]
    assert len([one for one in caplog.records if one.name == "server.frames.frame_editor"]) == 1


@pytest.mark.parametrize("pts", [None, 5000, 4000])
def test_a_picture_whose_time_does_not_follow_is_left_out(pts: int | None) -> None:
    first, second = process(PaintingStream(), picture(5000), picture(pts))
    assert first.shown is not None
    assert second.shown is None
    assert second.error is not None


def test_a_picture_too_small_to_encode_is_left_out() -> None:
    (done,) = process(PaintingStream(), picture(0, side=8))
    assert done.shown is None
    assert "8x8" in str(done.error)


def test_pictures_whose_stages_overlap_are_those_that_come_one_by_one() -> None:
    frames = [pictured(textured_frame(number // 3), 9000 * number) for number in range(12)]
    alone: list[SessionFrame] = []
    editor = FrameEditor(make_stream(), lit(), alone.append)
    for frame in frames:
        editor.process(SessionFrame(source=frame, arrived=0.0))

    done: list[SessionFrame] = []
    whole, waiting = threading.Event(), iter(frames[1:])

    def deliver(processed: SessionFrame) -> None:
        done.append(processed)
        if len(done) == len(frames):
            whole.set()

    def locate(arrived: SessionFrame) -> object:
        located = locating(arrived)
        following = next(waiting, None)
        if following is not None:
            assert not lane.offer(SessionFrame(source=following, arrived=0.0)), "nothing waits that could be displaced"
        return located

    worker = InferenceWorker(threads=3)
    locating, *others = FrameEditor(make_stream(), lit(), deliver).stages
    lane = worker.lane(locate, *others)
    worker.start()
    lane.offer(SessionFrame(source=frames[0], arrived=0.0))
    assert whole.wait(PATIENCE_SECONDS)
    worker.stop()
    assert [one.error for one in done] == [None] * len(frames)
    assert sum(one.shown is not frame for one, frame in zip(done, frames, strict=True)) > 8
    assert [one.rev for one in done] == [one.rev for one in alone]
    for one, other in zip(done, alone, strict=True):
        assert one.shown is not None and other.shown is not None and one.shown.pts == other.shown.pts
        np.testing.assert_array_equal(one.shown.to_ndarray(), other.shown.to_ndarray())


def lit() -> SessionEdits:
    edits = SessionEdits()
    edits.set({"light": 1.0}, 0.2)
    return edits


def pictured(pixels: Pixels, pts: int) -> VideoFrame:
    frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = pts, CLOCK
    return frame


@pytest.mark.parametrize("stage", ["locate", "generate", "blend"])
def test_whatever_stage_breaks_the_picture_passes(stage: str) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("a stage broke")

    stream, frame, done = PaintingStream(), picture(0), list[SessionFrame]()
    setattr(stream, stage, breaks)
    FrameEditor(stream, SessionEdits(), done.append).process(SessionFrame(source=frame, arrived=0.0))
    assert [(one.shown is frame, one.error) for one in done] == [(True, "RuntimeError: a stage broke")]


@pytest.mark.parametrize(("stream", "expected"), [(PaintingStream(), True), (Untouched(), False)])
def test_only_edited_pictures_have_the_badge(stream: PaintingStream, expected: bool) -> None:
    done: list[SessionFrame] = []
    badge = Badge(on=True)
    FrameEditor(stream, SessionEdits(), done.append, ticking(), badge).process(
        SessionFrame(source=picture(0, 240), arrived=0.0)
    )
    assert (badge.place is not None) == expected
    assert done[0].shown is not None
    assert (np.ptp(to_rgb(done[0].shown)[212:-8, :200]) > 90) == expected
