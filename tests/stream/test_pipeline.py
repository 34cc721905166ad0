"""Frames whose stages overlap: the same frames in the same order, whatever fails on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rigid.arrays import Pixels
from rigid.composite.paste import paste
from rigid.stream.face_stream import FaceStream, StepResult
from rigid.stream.frame_record import FrameRecord
from rigid.stream.pipeline import Step, overlapped
from tests.fakes import FakeRuntime
from tests.worlds import Brighten, FaultyRuntime, FixedTracker, make_stream, textured_frame

COUNT = 16


def steps(count: int = COUNT) -> Iterator[Step]:
    """An edit that comes and goes, on frames that change."""
    for i in range(count):
        yield Step(textured_frame(i // 3), {"light": 1.0 if i % 12 < 8 else 0.0}, i / 25)


def one_by_one(stream: FaceStream, count: int = COUNT) -> list[StepResult]:
    return [stream.step(*step) for step in steps(count)]


def shown(results: list[StepResult]) -> list[tuple[bytes, bool, bool, str | None]]:
    return [(result.frame.tobytes(), result.face, result.edited, result.error) for result in results]


@pytest.mark.parametrize("cadence", [1, 3])
def test_frames_are_those_that_come_one_by_one(cadence: int) -> None:
    alone, stream = make_stream(), make_stream()
    alone.cadence = stream.cadence = cadence
    expected, results = one_by_one(alone), list(overlapped(stream, steps()))
    assert shown(results) == shown(expected)
    assert sum(result.edited for result in results) > COUNT // 2
    assert stream.counts == replace(alone.counts, frames=COUNT, faces=COUNT, errors=0)
    assert stream.save() == alone.save()


def test_a_lost_face_a_broken_tracker_and_a_broken_engine_pass_as_they_would_one_by_one() -> None:
    def world() -> FaceStream:
        tracker, runtime = FixedTracker(), FaultyRuntime()
        tracker.blind, tracker.broken = {4, 5}, {9}
        runtime.raising, runtime.poisoned_images = {2}, {5}
        return make_stream(runtime, tracker)

    expected, results = one_by_one(world()), list(overlapped(world(), steps()))
    assert shown(results) == shown(expected)
    assert sum(result.error is not None for result in results) == 3


class Meeting(FaceStream):
    """While frame n is generated, frame n + 1 is located and frame n - 1 blended: each waits for the two others."""

    def __init__(self, count: int) -> None:
        super().__init__(FakeRuntime(), FixedTracker(), Brighten())
        self._met = threading.Barrier(3)
        self._frames = count
        self._numbers = {"locate": 0, "generate": 0, "blend": 0}
        self.threads: dict[str, set[int]] = {stage: set() for stage in self._numbers}

    def locate(self, frame: Pixels, timestamp: float) -> FrameRecord:
        self._meet("locate", -1)
        return super().locate(frame, timestamp)

    def generate(self, located: FrameRecord, edits: Mapping[str, float]) -> FrameRecord:
        self._meet("generate", 0)
        return super().generate(located, edits)

    def blend(self, made: FrameRecord) -> StepResult:
        self._meet("blend", 1)
        return super().blend(made)

    def _meet(self, stage: str, ahead: int) -> None:
        middle = self._numbers[stage] + ahead
        self._numbers[stage] += 1
        self.threads[stage].add(threading.get_ident())
        if 1 <= middle <= self._frames - 2:
            self._met.wait(60)


def test_three_frames_are_in_hand_at_once_and_no_more_are_read() -> None:
    stream, read = Meeting(COUNT), list[int]()

    def noted() -> Iterator[Step]:
        for i, step in enumerate(steps()):
            read.append(i)
            yield step

    for number, result in enumerate(overlapped(stream, noted())):
        assert result.error is None
        assert len(read) <= number + 3
    assert len(read) == COUNT and all(len(threads) == 1 for threads in stream.threads.values())
    assert len(set.union(*stream.threads.values())) == 3


def test_closing_waits_for_the_stages_at_work() -> None:
    entered, go_on, after = threading.Event(), threading.Event(), list[str]()

    class Slow(FaceStream):
        def locate(self, frame: Pixels, timestamp: float) -> FrameRecord:
            if timestamp >= 2 / 25:
                entered.set()
                go_on.wait(60)
            after.append("located")
            return super().locate(frame, timestamp)

    results = overlapped(Slow(FakeRuntime(), FixedTracker(), Brighten()), steps())
    next(results)
    assert entered.wait(60), "a frame is being located"
    threading.Timer(0.05, go_on.set).start()
    results.close()
    assert after == ["located"] * 3
    assert not any(thread.name.startswith(("locate", "blend")) for thread in threading.enumerate())


def test_no_frames_give_no_results() -> None:
    assert list(overlapped(make_stream(), [])) == []


def test_a_frame_of_another_type_is_refused() -> None:
    wrong: Any = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(ValueError, match="A frame is uint8 RGB"):
        list(overlapped(make_stream(), [Step(wrong, {}, 0.0)]))


@pytest.mark.parametrize("overlap", [True, False])
def test_a_frame_that_cannot_be_blended_passes_and_the_edit_fades_in_anew(
    overlap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pastes = 0

    def broken_once(*arguments: Any) -> Pixels:
        nonlocal pastes
        pastes += 1
        if pastes == 6:
            raise RuntimeError("the filter broke")
        return paste(*arguments)

    monkeypatch.setattr("rigid.stream.blending.paste", broken_once)
    same, stream = [Step(textured_frame(), {"light": 1.0}, i / 25) for i in range(COUNT)], make_stream()
    results = list(overlapped(stream, same)) if overlap else [stream.step(*step) for step in same]
    assert [result.error for result in results if result.error] == ["RuntimeError: the filter broke"]
    assert results[5].frame is same[5].frame and not results[5].edited
    change = [float(result.frame.astype(float).mean() - textured_frame().mean()) for result in results]
    assert max(change[6:8]) < 0.5 * change[4], "no flash of what was generated before the fault was known"
    assert change[-1] > 0.95 * change[4]
