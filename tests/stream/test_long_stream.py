"""A stream that runs for hours: what it remembers neither drifts nor is left behind by what it sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.composite.compositor import Faces
from rigid.composite.paste import Composite
from rigid.inversion import latents
from rigid.models.contract import RecurrentState
from rigid.stream.face_stream import FaceStream
from rigid.stream.generating import LONGEST_GAP
from rigid.stream.stream_state import state_from_bytes
from tests.fakes import TINY, FakeRuntime
from tests.patience import ALL
from tests.worlds import FixedTracker, make_stream, memory_of, textured_frame

LIGHT = {"light": 0.4}
FPS = 25
LOOP = 250
LOOPS = 40 if ALL else 4
LOOK_EVERY = 5
"""Frames; the late codes glide for longer."""
SIZES = replace(TINY, image_size=32, hidden_shape=(3, 4, 4))


class FeedbackRuntime(FakeRuntime):
    """An encoder that sees too little contrast, and a memory that learns from what was generated what is missing.

    `errors`: of every inverted face.
    """

    def __init__(self) -> None:
        super().__init__(SIZES)
        self.errors: list[float] = []
        self.blind_to_the_past = False
        self._inputs = np.zeros((1, 3, 1, 1), np.float32)

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        codes, noise, _ = super().invert(inputs, state)
        self._inputs = inputs
        early = codes[:, : -SIZES.n_shared_codes]
        early *= 0.6
        missing = np.zeros_like(state.cell)
        if state.previous_input is not None and state.previous_inverted is not None and not self.blind_to_the_past:
            missing = _mosaic(state.previous_input - state.previous_inverted)
        cell = state.cell + 0.3 * missing
        hidden = np.tanh(cell)
        early += hidden.reshape(1, 1, -1)
        return codes, noise + 0.2 * hidden.mean(), replace(state, hidden=hidden, cell=cell)

    def synthesize(self, codes: Array, noise: Array) -> Array:
        images = super().synthesize(codes, noise)
        self.errors.append(float(np.square(_mosaic(images[:1] - self._inputs)).mean()))
        return images


def _mosaic(images: Array) -> Array:
    """(1, 3, 4, 4): one pixel from the middle of each part."""
    return images[:, :, 4::8, 4::8]


def _paste_all(kind: str, faces: Faces, *_: object) -> Composite:
    return Composite.of(faces.edited, np.ones(faces.edited.shape[:2], np.float32))


def feedback_stream(monkeypatch: pytest.MonkeyPatch) -> tuple[FaceStream, FeedbackRuntime]:
    # the networks' memory is what may drift
    monkeypatch.setattr("rigid.stream.blending.compose", _paste_all)
    runtime = FeedbackRuntime()
    return make_stream(runtime, FixedTracker(centre=(32, 32), side=48.0, size=32)), runtime


def clip() -> list[Pixels]:
    """A sway in evening light, then by lamp; the end leads into the beginning."""
    frames = []
    for i in range(LOOP):
        swayed = np.roll(textured_frame(shape=(64, 64, 3)), round(2 * np.sin(2 * np.pi * i / 50)), 1)
        lamp = 0.5 - 0.5 * np.cos(2 * np.pi * i / LOOP)
        frames.append((swayed * (0.5 + 0.5 * lamp)).astype(np.uint8))
    return frames


def is_gliding(stream: FaceStream) -> bool:
    return state_from_bytes(stream.save(), stream.runtime.sizes).memory.anchor.gliding > 0


@pytest.mark.slow
def test_nothing_drifts_over_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, _ = feedback_stream(monkeypatch)
    frames, seen, moves = clip(), [], 0
    gliding = False
    for i in range(LOOPS * LOOP):
        result = stream.step(frames[i % LOOP], LIGHT, i / FPS)
        assert result.error is None
        assert result.faces is not None
        error = np.square(result.faces.inverted - result.faces.real).mean()
        gain = (result.faces.edited - result.faces.inverted).mean()
        seen.append([float(error), float(gain), float(result.frame.mean()), float(result.frame.std())])
        if i % LOOK_EVERY == 0:
            was_gliding, gliding = gliding, is_gliding(stream)
            moves += gliding and not was_gliding
    figures = np.array(seen)
    early, late = figures[LOOP : 2 * LOOP].mean(0), figures[-LOOP:].mean(0)
    np.testing.assert_allclose(late, early, rtol=0.05)
    assert moves > LOOPS / 2, "the light never called for other late codes"


@pytest.mark.slow
def test_the_memory_really_feeds_back(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {}
    for blind in (False, True):
        stream, runtime = feedback_stream(monkeypatch)
        runtime.blind_to_the_past = blind
        for i, frame in enumerate(clip()):
            stream.step(frame, LIGHT, i / FPS)
        errors[blind] = np.mean(runtime.errors[100:])
    assert errors[False] < 0.5 * errors[True]


def late_codes(stream: FaceStream) -> Array:
    late = memory_of(stream).late_codes
    assert late is not None
    return late.copy()


def show(stream: FaceStream, frame: Pixels, frames: int, start: float) -> float:
    """Show one picture for a while; the seconds at its end."""
    for i in range(frames):
        assert stream.step(frame, LIGHT, start + i / FPS).error is None
    return start + frames / FPS


def own_late_codes(frame: Pixels) -> Array:
    stream = make_stream()
    show(stream, frame, 1, 0.0)
    return late_codes(stream)


def dimmed(by: float) -> Pixels:
    return (textured_frame() * (1 - by)).astype(np.uint8)


def test_a_little_less_light_leaves_the_late_codes_alone() -> None:
    stream = make_stream()
    time = show(stream, textured_frame(), 5, 0.0)
    before = late_codes(stream)
    show(stream, dimmed(0.08), 60, time)
    assert latents.distance(own_late_codes(dimmed(0.08)), before) > 0.03
    np.testing.assert_array_equal(late_codes(stream), before)


def test_other_light_moves_the_late_codes_slowly_and_wholly() -> None:
    stream = make_stream()
    time = show(stream, textured_frame(), 5, 0.0)
    codes = [late_codes(stream)]
    for _ in range(200):
        time = show(stream, dimmed(0.2), 1, time)
        codes.append(late_codes(stream))
    goal = own_late_codes(dimmed(0.2))
    distances = np.array([latents.distance(code, goal) for code in codes])
    assert (np.diff(distances) <= 1e-6).all(), "they went to and fro"
    assert distances[-1] < 0.5 * latents.LARGEST_DISTANCE < distances[0]
    assert -np.diff(distances).min() < 0.15 * distances[0], "they jumped"
    assert distances[5] == distances[0], "one dark frame would have moved them"


def test_asked_for_the_late_codes_move_also_over_a_short_way() -> None:
    stream = make_stream()
    time = show(stream, textured_frame(), 5, 0.0)
    time = show(stream, dimmed(0.08), 5, time)
    before = late_codes(stream)
    stream.reanchor()
    time = show(stream, dimmed(0.08), 1, time)
    goal = own_late_codes(dimmed(0.08))
    assert 0 < latents.distance(late_codes(stream), before) < 0.5 * latents.distance(goal, before)
    show(stream, dimmed(0.08), 30, time)
    np.testing.assert_allclose(late_codes(stream), goal, atol=1e-6)


@pytest.mark.parametrize(("seconds", "anew"), [(0.8 * LONGEST_GAP, False), (1.2 * LONGEST_GAP, True)])
@pytest.mark.parametrize("cause", ["no face", "no edit"])
def test_late_codes_outlast_a_short_break_but_no_long_one(seconds: float, anew: bool, cause: str) -> None:
    tracker = FixedTracker()
    stream = make_stream(tracker=tracker)
    time = show(stream, textured_frame(), 5, 0.0)
    before = late_codes(stream)
    frames = round(seconds * FPS)
    tracker.blind = set(range(5, 5 + frames)) if cause == "no face" else set()
    for i in range(frames):
        stream.step(dimmed(0.08), LIGHT if cause == "no face" else {}, time + i / FPS)
    show(stream, dimmed(0.08), 1, time + frames / FPS)
    expected = own_late_codes(dimmed(0.08)) if anew else before
    np.testing.assert_array_equal(late_codes(stream), expected)


def test_an_edit_that_starts_again_finds_a_memory_like_a_streams_first() -> None:
    class Watching(FakeRuntime):
        def __init__(self) -> None:
            super().__init__()
            self.given: list[RecurrentState] = []

        def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
            self.given.append(state)
            return super().invert(inputs, state)

    runtime = Watching()
    stream = make_stream(runtime)
    time = show(stream, textured_frame(), 10, 0.0)
    assert runtime.given[-1].hidden.all() and runtime.given[-1].previous_edited is not None
    count = len(runtime.given)
    for i in range(20):
        stream.step(textured_frame(), {}, time + i / FPS)
    fading = len(runtime.given) - count
    assert 3 <= fading <= 8, "the networks rest once the edit has faded"
    show(stream, textured_frame(), 1, time + 20 / FPS)
    begun = runtime.given[-1]
    assert not begun.hidden.any() and not begun.cell.any() and begun.late_codes is not None
    assert begun.previous_input is begun.previous_inverted is begun.previous_edited is None
