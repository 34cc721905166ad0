"""One viewer's stream: what passes through, what is edited, how it fades, and what a failure leaves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import get_args

import cv2
import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.composite.compositor import CompositeKind
from rigid.edits.edit_effect import EditEffect
from rigid.face.alignment import TrackedFace
from rigid.face.masks import feather, hair_mask, oval_mask
from rigid.geometry import apply, inverse, resample
from rigid.models.contract import CLASSES, RecurrentState
from rigid.stream.face_stream import FaceStream, StepResult, StreamOptions
from rigid.stream.fading import Fade
from tests.fakes import TINY, FakeRuntime
from tests.worlds import (
    FRAME_SHAPE,
    Brighten,
    FaultyRuntime,
    FixedTracker,
    landmarks_in_crop,
    make_stream,
    memory_of,
    textured_frame,
)

LIGHT = {"light": 1.0}
OFF = {"light": 0.0}
BRIGHT = {"light": 2.0}
"""Enough for its first eased step to show."""


PLAIN = np.full_like(textured_frame(), 110)
"""What the fake runtime inverts rightly, so that even a slight edit shows."""


def run(
    stream: FaceStream, frames: int, edits: dict[str, float] = LIGHT, start: int = 0, frame: Pixels | None = None
) -> list[StepResult]:
    shown = textured_frame() if frame is None else frame
    return [stream.step(shown, edits, (start + i) / 25) for i in range(frames)]


SETTLING = 0.02
"""What the composite's own smoothing over time may still move, in grey levels of the whole frame."""


def rises(values: list[float]) -> bool:
    return all(later >= earlier - SETTLING for earlier, later in pairwise(values))


def change(result: StepResult, frame: Pixels | None = None) -> float:
    """Mean brightening of the frame."""
    before = textured_frame() if frame is None else frame
    return float(result.frame.astype(float).mean() - before.mean())


def in_frame(mask: Array, tracker: FixedTracker) -> Array:
    """A crop's mask as the frame sees it."""
    return resample(mask, inverse(tracker.transform), (FRAME_SHAPE[1], FRAME_SHAPE[0]), 0)


@pytest.mark.parametrize("composite", get_args(CompositeKind))
def test_the_first_frame_is_edited_inside_the_mask_and_bit_identical_outside(composite: CompositeKind) -> None:
    tracker = FixedTracker()
    stream = make_stream(tracker=tracker, options=StreamOptions(composite))
    result = stream.step(textured_frame(), LIGHT, 0.0)
    stream.close()
    face = in_frame(feather(oval_mask(landmarks_in_crop(64), 64)), tracker)
    inside, outside = face > 0.9, face == 0
    difference = result.frame.astype(int) - textured_frame()
    assert inside.sum() > 200 and outside.sum() > 2000
    assert difference[inside].mean() > 20
    assert not difference[outside].any()
    assert result.face and result.edited and result.error is None


class Dye(Brighten):
    """Brightens all, and is meant for the hair."""

    def effect(self, edits: Mapping[str, float], *, level: float = 1.0, gain: float = 1.0) -> EditEffect:
        effect = super().effect(edits, level=level, gain=gain)
        return replace(effect, hair=effect.edits.get("light", 0.0), shares={})


def test_an_edit_of_the_hair_shows_in_the_hair_alone() -> None:
    tracker, landmarks = FixedTracker(), landmarks_in_crop(64)
    face, region = in_frame(oval_mask(landmarks, 64), tracker), in_frame(hair_mask(landmarks, 64), tracker)
    frame = textured_frame()
    frame[(face == 0) & (region > 0.5)] = 20
    stream = FaceStream(FakeRuntime(), tracker, Dye())
    difference = np.abs(stream.step(frame, LIGHT, 0.0).frame.astype(int) - frame).mean(2)
    stream.close()
    assert difference[(face == 0) & (region > 0.9)].mean() > 20
    assert difference[face > 0.9].mean() < 2
    around = cv2.dilate(np.maximum(face, region), np.ones((15, 15)))
    assert not difference[around == 0].any()


class DyeAndShade(Brighten):
    """Brightens all for the hair, and darkens all for the face."""

    def effect(self, edits: Mapping[str, float], *, level: float = 1.0, gain: float = 1.0) -> EditEffect:
        effect = super().effect(edits, level=level, gain=gain)
        light, shade = (effect.edits.get(name, 0.0) for name in ("light", "shade"))
        offsets = tuple(partial(self.offset, {"light": one - shade}) for one in (light, 0.0))
        return replace(effect, hair=light, shares={"face": shade}, offsets=offsets)


def test_an_edit_of_the_hair_beside_one_of_the_face_leaves_the_face_to_that_one() -> None:
    tracker, landmarks = FixedTracker(), landmarks_in_crop(64)
    face, region = in_frame(oval_mask(landmarks, 64), tracker), in_frame(hair_mask(landmarks, 64), tracker)
    frame = np.full_like(textured_frame(), 110)
    frame[(face == 0) & (region > 0.5)] = 20
    runtime = FakeRuntime()
    stream = FaceStream(runtime, tracker, DyeAndShade())
    for number in range(4):
        result = stream.step(frame, {"light": 1.3, "shade": 0.5}, number / 25)
    stream.close()
    difference = (result.frame.astype(int) - frame).mean(2)
    assert difference[(face == 0) & (region > 0.9)].mean() > 10
    assert difference[face > 0.9].mean() < -4
    assert runtime.batches[-1] == 3


WITH_PARSER = replace(TINY, n_classes=len(CLASSES))


def parsing(**places: tuple[slice, slice]) -> FakeRuntime:
    """A runtime whose parser sees skin everywhere but for `places` of other classes in its 16 x 16 map."""
    runtime = FakeRuntime(WITH_PARSER)
    names = np.full((16, 16), CLASSES.index("skin"))
    for name, place in places.items():
        names[place] = CLASSES.index(name)
    runtime.classes = (names == np.arange(len(CLASSES))[:, None, None]).astype(np.float32)
    return runtime


def test_the_parser_says_where_the_edit_shows() -> None:
    tracker, half = FixedTracker(), (slice(0, 16), slice(0, 8))
    stream = make_stream(parsing(background=half), tracker)
    result = stream.step(textured_frame(), LIGHT, 0.0)
    stream.close()
    left = np.zeros((64, 64), np.float32)
    left[:, :24] = 1
    changed = (result.frame != textured_frame()).any(2)
    assert not changed[in_frame(left, tracker) == 1].any()
    assert changed[in_frame(np.roll(left, 34, 1), tracker) == 1].mean() > 0.9
    assert result.covered == 0 and "parse" in result.stage_ms


def test_a_hand_before_the_face_stays_and_is_told() -> None:
    tracker, hand = FixedTracker(), (slice(8, 14), slice(4, 12))
    stream = make_stream(parsing(other=hand), tracker)
    result = stream.step(textured_frame(), LIGHT, 0.0)
    stream.close()
    held = np.zeros((64, 64), np.float32)
    held[34:54, 18:46] = 1
    assert not (result.frame != textured_frame())[in_frame(held, tracker) == 1].any()
    assert result.edited and result.covered == pytest.approx(6 * 8 / 256, abs=0.03)


def test_inverted_and_edited_face_are_one_batch_and_every_stage_is_timed() -> None:
    runtime = FakeRuntime()
    stream = make_stream(runtime)
    stream.step(textured_frame(), LIGHT, 0.0)
    before = len(runtime.batches)
    result = stream.step(textured_frame(), LIGHT, 1 / 25)
    assert runtime.batches[before:] == [2]
    assert set(result.stage_ms) == {"align", "invert", "synthesize", "blend"}
    assert min(result.stage_ms.values()) >= 0


def test_a_first_frame_that_shows_its_edit_at_once_goes_twice_through_a_recurrent_encoder() -> None:
    runtime = FakeRuntime()
    stream = make_stream(runtime)
    stream.step(textured_frame(), LIGHT, 0.0)
    assert runtime.batches == [2, 2] and runtime.inverted == 2
    assert (memory_of(stream).hidden == 2).all()
    stream.step(textured_frame(), LIGHT, 1 / 25)
    assert runtime.inverted == 3


def test_without_a_recurrent_encoder_the_first_frame_goes_once() -> None:
    class Forgetful(FakeRuntime):
        def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
            codes, noise, _ = super().invert(inputs, state)
            return codes, noise, state

    runtime = Forgetful()
    make_stream(runtime).step(textured_frame(), LIGHT, 0.0)
    assert runtime.batches == [2]


def test_the_frame_that_came_in_is_never_written_to() -> None:
    frame = textured_frame()
    frame.flags.writeable = False
    assert make_stream().step(frame, LIGHT, 0.0).edited


@pytest.mark.parametrize("edits", [OFF, {}])
def test_without_an_edit_the_frame_itself_comes_back_and_the_networks_rest(edits: dict[str, float]) -> None:
    runtime, frame = FakeRuntime(), textured_frame()
    stream = make_stream(runtime)
    results = [stream.step(frame, edits, i / 25) for i in range(3)]
    assert all(result.frame is frame for result in results)
    assert all(result.face and not result.edited for result in results)
    assert runtime.inverted == 0 and runtime.batches == []


def test_without_a_face_the_frame_itself_comes_back_and_is_counted() -> None:
    tracker, runtime, frame = FixedTracker(), FakeRuntime(), textured_frame()
    tracker.blind = {0, 1}
    stream = make_stream(runtime, tracker)
    results = [stream.step(frame, LIGHT, i / 25) for i in range(2)]
    assert all(result.frame is frame and not result.face and not result.edited for result in results)
    assert runtime.inverted == 0
    assert (stream.counts.frames, stream.counts.faces, stream.counts.edited, stream.counts.errors) == (2, 0, 0, 0)


def test_a_face_that_appears_fades_in_monotonously() -> None:
    tracker = FixedTracker()
    tracker.blind = {0}
    changes = [change(result, PLAIN) for result in run(make_stream(tracker=tracker), 12, BRIGHT, frame=PLAIN)]
    assert changes[0] == 0
    assert rises(changes)
    assert 0 <= changes[1] < 0.2 * changes[-1]
    assert changes[-1] == pytest.approx(changes[-2], abs=SETTLING)


def test_a_face_that_is_lost_fades_out_monotonously_and_ends_bit_identical() -> None:
    tracker = FixedTracker()
    tracker.blind = set(range(3, 20))
    results = run(make_stream(tracker=tracker), 16)
    changes = [change(result) for result in results]
    assert changes[3] > 0.6 * changes[2], "one missed frame hardly shows"
    assert rises(changes[:1:-1])
    assert not results[4].face and results[4].edited
    np.testing.assert_array_equal(results[-1].frame, textured_frame())
    assert not results[-1].edited


def test_an_edit_that_starts_or_stops_mid_stream_fades_too() -> None:
    stream = make_stream()
    off = run(stream, 2, OFF, frame=PLAIN)
    on = run(stream, 10, BRIGHT, start=2, frame=PLAIN)
    off_again = run(stream, 10, OFF, start=12, frame=PLAIN)
    rising, falling = [change(r, PLAIN) for r in on], [change(r, PLAIN) for r in off_again]
    assert change(off[-1], PLAIN) == 0
    assert rises(rising) and 0 <= rising[0] < 0.2 * rising[-1]
    assert off_again[-1].frame.tobytes() == PLAIN.tobytes() and not off_again[-1].edited
    assert max(map(abs, falling)) < 2, "with every strength 0 only the cross-fade is left"


def test_a_slow_stream_takes_at_least_the_stated_number_of_frames() -> None:
    tracker = FixedTracker()
    tracker.blind = {0}
    stream = make_stream(tracker=tracker, options=StreamOptions(fade=Fade(0.25, frames=3)))
    changes = [change(stream.step(textured_frame(), LIGHT, i * 2.0)) for i in range(6)]
    assert changes[1] < changes[2] < changes[3]
    assert changes[3] == pytest.approx(changes[5], abs=SETTLING)


def test_the_fading_edit_follows_the_face_that_moves() -> None:
    tracker = FixedTracker()
    tracker.blind = set(range(2, 6))
    stream = make_stream(tracker=tracker)
    shift = 3
    wide = textured_frame(shape=(96, 160, 3))
    for i in range(4):
        moved = np.ascontiguousarray(wide[:, 16 - max(0, i - 1) * shift :][:, :128])
        result = stream.step(moved, LIGHT, i / 25)
    columns = (result.frame.astype(int) - moved).sum((0, 2))
    centre = float((columns * np.arange(128)).sum() / columns.sum())
    assert centre == pytest.approx(64 + 2 * shift, abs=1.5)


def test_a_cut_to_a_scene_without_a_face_ends_the_edit_at_once() -> None:
    tracker = FixedTracker()
    tracker.blind = {2}
    stream = make_stream(tracker=tracker)
    run(stream, 2)
    other = 255 - textured_frame(seed=1)
    result = stream.step(other, LIGHT, 2 / 25)
    assert result.frame is other and not result.edited


def test_a_frame_of_another_size_ends_a_fade_but_not_the_stream() -> None:
    tracker = FixedTracker()
    tracker.blind = {2}
    stream = make_stream(tracker=tracker)
    run(stream, 2)
    turned = textured_frame(shape=(128, 96, 3))
    assert stream.step(turned, LIGHT, 2 / 25).frame is turned
    result = stream.step(turned, LIGHT, 3 / 25)
    assert result.error is None and result.frame.shape == (128, 96, 3) and result.edited


def test_after_a_cut_to_another_face_the_late_codes_begin_anew() -> None:
    stream = make_stream()
    run(stream, 2)
    first = memory_of(stream).late_codes
    run(stream, 1, start=2)
    again = memory_of(stream).late_codes
    stream.step(255 - textured_frame(seed=1), LIGHT, 3 / 25)
    other = memory_of(stream).late_codes
    assert first is not None and again is not None and other is not None
    assert np.array_equal(again, first) and not np.array_equal(other, first)


def test_a_broken_engine_passes_the_frame_and_keeps_the_late_codes(caplog: pytest.LogCaptureFixture) -> None:
    runtime = FaultyRuntime()
    runtime.raising = {3, 4}
    stream = make_stream(runtime)
    run(stream, 2)
    before = memory_of(stream).late_codes
    with caplog.at_level(logging.ERROR, "rigid.stream.face_stream"):
        results = run(stream, 2, start=2)
    assert all(r.frame.tobytes() == textured_frame().tobytes() and not r.edited for r in results)
    assert all(r.error == "RuntimeError: the engine broke" and r.face for r in results)
    after = memory_of(stream)
    assert before is not None and after.late_codes is not None and np.array_equal(after.late_codes, before)
    assert not after.hidden.any(), "what led to the failure is not gone on with"
    assert stream.counts.errors == 2
    assert len(caplog.records) == 1, "a failure is logged once, then counted"
    assert run(stream, 12, start=4)[-1].edited


@pytest.mark.parametrize("place", ["poisoned_codes", "poisoned_images"])
def test_values_that_are_no_numbers_pass_the_frame_and_never_reach_the_state(place: str) -> None:
    runtime = FaultyRuntime()
    setattr(runtime, place, {2})
    stream = make_stream(runtime)
    first, bad, *rest = run(stream, 12)
    assert bad.error is not None and "not finite" in bad.error
    assert bad.frame.tobytes() == textured_frame().tobytes()
    assert all(r.error is None for r in rest)
    assert change(rest[-1]) == pytest.approx(change(first), abs=SETTLING)
    assert all(np.isfinite(value).all() for value in vars(memory_of(stream)).values() if value is not None)


def test_after_a_failure_the_edit_fades_in_anew() -> None:
    runtime = FaultyRuntime()
    runtime.raising = {4}
    changes = [change(r) for r in run(make_stream(runtime), 14)]
    assert changes[3] == 0
    assert rises(changes[3:])
    assert changes[4] < 0.2 * changes[-1]


def test_a_broken_tracker_passes_the_frame() -> None:
    tracker = FixedTracker()
    tracker.broken = {0}
    result = make_stream(tracker=tracker).step(textured_frame(), LIGHT, 0.0)
    assert result.error == "RuntimeError: the landmarker broke"
    assert result.frame.tobytes() == textured_frame().tobytes()


@pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), -5.0])
def test_a_strange_timestamp_does_not_stop_the_stream(timestamp: float) -> None:
    stream = make_stream()
    run(stream, 2)
    stream.step(textured_frame(), LIGHT, timestamp)
    assert run(stream, 1, start=3)[0].error is None


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(frame: Pixels) -> None:
    with pytest.raises(ValueError, match="A frame is uint8 RGB"):
        make_stream().step(frame, LIGHT, 0.0)


def test_a_restored_stream_goes_on_identically() -> None:
    frames = [textured_frame(seed) for seed in (0, 0, 0)] + [np.roll(textured_frame(), i, 1) for i in range(4)]
    one, other = make_stream(), make_stream()
    for i, frame in enumerate(frames[:3]):
        one.step(frame, LIGHT, i / 25)
    other.restore(one.save())
    for i, frame in enumerate(frames[3:], 3):
        expected, actual = (stream.step(frame, LIGHT, i / 25) for stream in (one, other))
        np.testing.assert_array_equal(actual.frame, expected.frame)
    assert one.save() == other.save()


def test_damaged_bytes_leave_the_stream_as_it_was() -> None:
    stream = make_stream()
    run(stream, 2)
    before = stream.save()
    with pytest.raises(ValueError, match="new stream"):
        stream.restore(before[:50])
    assert stream.save() == before


def test_another_profiles_state_is_refused() -> None:
    other = make_stream(FakeRuntime(replace(TINY, n_shared_codes=1)))
    stream = make_stream()
    run(stream, 1)
    with pytest.raises(ValueError, match="another profile"):
        other.restore(stream.save())


def test_closing_closes_the_tracker_and_leaves_the_shared_runtime() -> None:
    runtime, tracker = FakeRuntime(), FixedTracker()
    stream = make_stream(runtime, tracker)
    stream.close()
    stream.close()
    assert tracker.closed and not runtime.closed


def test_an_edit_is_longer_where_the_profile_holds_edits_back() -> None:
    def change(gain: float, strength: float) -> float:
        stream = make_stream(FakeRuntime(replace(TINY, edit_gain=gain)))
        after = stream.step(textured_frame(), {"light": strength}, 0.0).frame.astype(int)
        stream.close()
        return float((after - textured_frame()).mean())

    assert change(1.5, 0.5) == pytest.approx(change(1.0, 0.75), rel=1e-6)
    assert change(1.5, 0.5) > change(1.0, 0.5) > 0


class Deeper(Brighten):
    """A library whose one attribute, `depth`, moves the codes away from 0: an edit that depends on the codes."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Array] = []

    def offset(self, edits: Mapping[str, float], codes: Array) -> Array:
        self.given.append(codes.copy())
        return edits.get("depth", 0.0) * codes


def test_an_edit_may_depend_on_the_codes_it_is_added_to() -> None:
    library = Deeper()
    stream = FaceStream(FakeRuntime(), FixedTracker(), library)
    first, second = (stream.step(textured_frame(), {"depth": 1.0}, t) for t in (0.0, 0.04))
    assert all(codes.shape == (1, TINY.n_codes, TINY.code_size) for codes in library.given)
    # the late codes are the shared ones, as the generator gets them
    np.testing.assert_array_equal(library.given[-1][:, -2:], library.given[0][:, -2:])
    assert first.error is None and second.error is None
    frame = textured_frame().astype(int)
    contrast = [np.abs(result.frame.astype(int) - frame).max() for result in (first, second)]
    assert min(contrast) > 10


def test_at_a_cadence_the_networks_run_for_each_so_many_frames_and_every_frame_is_edited() -> None:
    runtime = FakeRuntime()
    stream = make_stream(runtime)
    stream.step(textured_frame(), LIGHT, 0.0)
    stream.cadence = 3
    counted = []
    for number in range(1, 8):
        result = stream.step(textured_frame(), LIGHT, number / 25)
        assert result.edited and result.error is None
        counted.append(runtime.inverted - 2)
    assert counted == [0, 0, 1, 1, 1, 2, 2]


SPARED = StreamOptions(fade=Fade(seconds=0.0, frames=1), edited_after=3 / TINY.image_size)


def hurry(stream: FaceStream, edits: Mapping[str, float], number: int) -> StepResult:
    """A frame for which there is less time."""
    located = stream.locate(textured_frame(), number / 25)
    return stream.blend(stream.generate(replace(located, hurried=True), edits))


def test_of_hurried_frames_every_second_one_shows_the_faces_of_the_last() -> None:
    runtime = FakeRuntime()
    stream = make_stream(runtime, options=SPARED)
    first = stream.step(textured_frame(), LIGHT, 0.0)
    counted = []
    for number in range(1, 6):
        result = hurry(stream, LIGHT, number)
        assert result.edited and result.error is None
        counted.append(runtime.inverted - 2)
    assert counted == [0, 1, 1, 2, 2]
    assert np.abs(result.frame.astype(int) - first.frame).mean() < 1, "the same face in the same place"
    stream.step(textured_frame(), LIGHT, 6 / 25)
    assert runtime.inverted - 2 == 3, "there is time"


class Speaking(FixedTracker):
    """The face's landmarks move `far` pixels in their crop at every frame."""

    def __init__(self, far: float) -> None:
        super().__init__()
        self._far = far

    def track(self, frame: Pixels, timestamp: float) -> TrackedFace | None:
        seen = super().track(frame, timestamp)
        assert seen is not None
        moved = seen.landmarks_in_crop + np.float32(self._far * self.seen / np.sqrt(2))
        return replace(seen, landmarks=apply(inverse(self.transform), moved).astype(np.float32))


@pytest.mark.parametrize(("far", "edits", "generated"), [(2.0, LIGHT, 0), (4.0, LIGHT, 1), (2.0, {"light": 0.9}, 1)])
def test_a_hurried_frame_has_its_own_faces_where_the_last_ones_will_not_do(
    far: float, edits: dict[str, float], generated: int
) -> None:
    runtime = FakeRuntime()
    stream = make_stream(runtime, Speaking(far), SPARED)
    stream.step(textured_frame(), LIGHT, 0.0)
    before = runtime.inverted
    assert hurry(stream, edits, 1).edited
    assert runtime.inverted - before == generated


def test_of_faces_shown_again_the_real_one_alone_is_parsed() -> None:
    runtime = parsing(background=(slice(0, 16), slice(0, 8)))
    stream = make_stream(runtime, options=SPARED)
    first = stream.step(textured_frame(), LIGHT, 0.0)
    second = hurry(stream, LIGHT, 1)
    assert runtime.parsed == [2, 1]
    np.testing.assert_allclose(second.frame, first.frame, atol=1)


def test_what_was_made_before_is_not_blended_onto_a_face_that_comes_back() -> None:
    runtime, tracker = FakeRuntime(), FixedTracker()
    tracker.blind = set(range(1, 40))
    stream = make_stream(runtime, tracker)
    stream.cadence = 1000
    for number in range(40):
        stream.step(textured_frame(), LIGHT, number / 25)
    before = runtime.inverted
    stream.step(textured_frame(), LIGHT, 40 / 25)
    assert runtime.inverted > before


def test_the_faces_behind_a_frame_can_be_had() -> None:
    stream = make_stream()
    (result,) = run(stream, 1)
    faces = result.faces
    assert faces is not None and faces.real.shape == (TINY.image_size, TINY.image_size, 3)
    assert np.abs(faces.real - faces.inverted).mean() < 0.2, "the fake inverts to a mosaic of the crop"
    assert faces.edited.mean() > faces.inverted.mean() + 0.1
    assert run(stream, 20, OFF, start=1)[-1].faces is None


class Shimmering(FakeRuntime):
    """Makes every picture lighter or darker by turns."""

    def synthesize(self, codes: Array, noise: Array) -> Array:
        pictures = super().synthesize(codes, noise)
        return pictures + np.float32(0.1 if len(self.batches) % 2 else -0.1)


def test_what_shimmers_is_held_steady_unless_told_otherwise() -> None:
    changes = []
    for options in (StreamOptions("paper"), StreamOptions("paper", steady=0.0)):
        levels = [change(result) for result in run(make_stream(Shimmering(), options=options), 30)][10:]
        changes.append(np.abs(np.diff(levels)).mean())
    assert changes[0] < 0.4 * changes[1]


def test_another_edit_shows_in_full_in_the_next_frame() -> None:
    once, switched = make_stream(), make_stream()
    run(once, 20)
    run(switched, 19, {"light": 0.2})
    expected, seen = (change(run(stream, 1, start=20)[0]) for stream in (once, switched))
    assert seen == pytest.approx(expected, rel=0.1)
