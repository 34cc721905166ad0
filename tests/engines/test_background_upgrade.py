"""An engine that is built while another serves."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from engines import EngineError
from engines.background_upgrade import UpgradingRuntime
from rigid.models.contract import CLASSES, RecurrentState
from tests.fakes import TINY, FakeRuntime
from tests.worlds import make_stream, textured_frame


class Better(FakeRuntime):
    @property
    def name(self) -> str:
        return "better"


def test_frames_go_on_while_an_engine_is_built_and_it_takes_over_between_two() -> None:
    first, better, ready = FakeRuntime(), Better(), threading.Event()

    def build() -> Better:
        assert ready.wait(60)
        return better

    runtime = UpgradingRuntime(first, build)
    stream, alone = make_stream(runtime), make_stream()
    frames = [textured_frame(i // 3) for i in range(8)]
    shown = [stream.step(frame, {"light": 1.0}, i / 25).frame for i, frame in enumerate(frames[:4])]
    assert (runtime.name, first.inverted > 0, better.batches) == ("fake", True, [])
    ready.set()
    runtime.thread.join(60)
    shown += [stream.step(frame, {"light": 1.0}, i / 25).frame for i, frame in enumerate(frames[4:], 4)]
    assert runtime.name == "better" and first.closed and better.batches == [2] * 4
    expected = [alone.step(frame, {"light": 1.0}, i / 25).frame for i, frame in enumerate(frames)]
    assert np.array_equal(shown, expected), "the state goes on"
    runtime.close()
    assert better.closed


def test_an_engine_that_makes_no_faces_does_not_take_over_within_a_frame() -> None:
    first = FakeRuntime(replace(TINY, face_window=(5, 4)))
    runtime = UpgradingRuntime(first, FakeRuntime)
    runtime.thread.join(60)
    codes = np.zeros((1, TINY.n_codes, TINY.code_size), np.float32)
    faces = runtime.synthesize_face(codes, np.zeros((1, *TINY.noise_shape), np.float32), np.zeros((1, 2), np.float32))
    assert faces.shape == (1, 3, 40, 32) and not first.closed
    runtime.synthesize(codes, np.zeros((1, *TINY.noise_shape), np.float32))
    assert first.closed and runtime.sizes.face_window is None


def test_an_engine_without_a_face_parser_does_not_take_over_within_a_frame() -> None:
    first = FakeRuntime(replace(TINY, n_classes=len(CLASSES)))
    runtime = UpgradingRuntime(first, FakeRuntime)
    runtime.thread.join(60)
    pictures = np.zeros((2, 3, TINY.image_size, TINY.image_size), np.float32)
    assert runtime.parse(pictures).shape == (2, len(CLASSES), 16, 16) and not first.closed
    assert [len(classes) for classes in runtime.parse_each([pictures, pictures[:1]])] == [2, 1] and not first.closed
    runtime.invert(pictures, RecurrentState.initial(TINY, 2))
    assert first.closed and runtime.sizes.n_classes == 0


def test_an_engine_that_cannot_be_built_leaves_the_first(caplog: pytest.LogCaptureFixture) -> None:
    def build() -> FakeRuntime:
        raise EngineError("TensorRT cannot read it.")

    runtime = UpgradingRuntime(FakeRuntime(), build)
    runtime.thread.join(60)
    codes = np.zeros((1, TINY.n_codes, TINY.code_size), np.float32)
    assert runtime.synthesize(codes, np.zeros((1, *TINY.noise_shape), np.float32)).shape == (1, 3, 64, 64)
    assert runtime.name == "fake" and "engine fake goes on: TensorRT cannot read it." in caplog.text
    runtime.close()


def test_what_is_built_after_the_end_is_closed() -> None:
    first, better, ready = FakeRuntime(), Better(), threading.Event()

    def build() -> Better:
        assert ready.wait(60)
        return better

    runtime = UpgradingRuntime(first, build)
    runtime.close()
    ready.set()
    runtime.thread.join(60)
    assert first.closed and better.closed
