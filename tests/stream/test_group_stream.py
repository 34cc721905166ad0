"""Several faces of one video, each edited by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.composite.edit_masks import masks_by_landmarks
from rigid.stream.face_stream import FaceStream, StreamOptions
from rigid.stream.fading import Fade
from rigid.stream.group_stream import GroupStream
from rigid.stream.state_packing import pack, unpack
from tests.fakes import FakeRuntime
from tests.groups import FPS, SHAPE, People, Person, frame_at, make_tracker, standing
from tests.worlds import Brighten, FaultyRuntime, FixedTracker, landmarks_in_crop, textured_frame

AT_ONCE = StreamOptions(fade=Fade(seconds=0.0, frames=1))
LEFT, RIGHT = (60.0, 48.0), (190.0, 48.0)


def picture_at(seconds: float) -> Pixels:
    """A textured frame that tells its time."""
    frame = textured_frame(shape=SHAPE)
    frame[0, 0] = frame_at(seconds)[0, 0]
    return frame


def make_group(people: People, runtime: FakeRuntime | None = None, most: int = 2) -> GroupStream:
    return GroupStream(runtime or FakeRuntime(), make_tracker(people, most), Brighten(), AT_ONCE)


def two_people(gone: float = 99.0) -> People:
    """Number 1 on the right, number 2 on the left."""
    return People(Person(lambda seconds: LEFT if seconds < gone else None), Person(standing(*RIGHT), side=64))


def show(stream: GroupStream | FaceStream, edits: Mapping[str, float], count: int = 4, begin: int = 0) -> Pixels:
    """The last of `count` frames."""
    for number in range(begin, begin + count):
        result = stream.step(picture_at(number / FPS), edits, number / FPS)
        assert result.error is None
    return result.frame


def changed(shown: Pixels, number: int = 3) -> dict[str, bool]:
    """Which halves of the frame differ from what came."""
    apart = (shown != picture_at(number / FPS)).any(2)
    return {"left": bool(apart[:, :125].any()), "right": bool(apart[:, 125:].any())}


@pytest.mark.parametrize(
    ("edits", "left", "right"),
    [
        ({"light": 1.0}, True, True),
        ({"2:light": 1.0}, True, False),
        ({"1:light": 1.0}, False, True),
        ({"light": 1.0, "1:light": 0.0}, True, False),
        ({"3:light": 1.0}, False, False),
        ({}, False, False),
    ],
)
def test_edits_go_to_all_faces_or_to_one(edits: dict[str, float], left: bool, right: bool) -> None:
    with_both = make_group(two_people())
    assert changed(show(with_both, edits)) == {"left": left, "right": right}
    with_both.close()


def test_a_stream_of_one_face_calls_it_one() -> None:
    alone = FaceStream(FakeRuntime(), FixedTracker((64, 48)), Brighten(), AT_ONCE)
    for edits, edited in (({"1:light": 1.0}, True), ({"2:light": 1.0}, False), ({"light": 1.0, "1:light": 0.0}, False)):
        result = alone.step(picture_at(0), edits, 0.0)
        assert (result.edited, result.error, result.numbers) == (edited, None, (1,))


def test_each_face_gets_what_it_gets_alone() -> None:
    """No state crosses: the halves are those of streams that know of one face only."""
    both = show(make_group(two_people()), {"light": 1.0}, count=8)
    for middle, side, half in ((LEFT, 60.0, np.s_[:, :125]), (RIGHT, 64.0, np.s_[:, 125:])):
        alone = FaceStream(FakeRuntime(), FixedTracker(middle, side), Brighten(), AT_ONCE)
        # the group sees the aligned crop where its landmarks say it is, not where the person was put
        people = People(Person(standing(*middle), side=side))
        single = show(make_group(people), {"light": 1.0}, count=8)
        assert np.abs(both[half].astype(int) - single[half]).mean() < 0.01
        assert show(alone, {"light": 1.0}, count=8)[half].shape == both[half].shape


def test_those_beyond_the_most_are_counted_for_who_advises() -> None:
    people = People(Person(standing(40), side=50), Person(standing(120), side=55), Person(standing(210), side=60))
    group = make_group(people)
    show(group, {}, count=2)
    sighting = group.locate(picture_at(0.1), 0.1).sighting
    assert sighting is not None and sighting.faces == 2, "the one who is edited, and one who is not"


def test_a_face_that_leaves_fades_while_the_other_goes_on() -> None:
    group = make_group(two_people(gone=0.4))
    shown = show(group, {"light": 1.0}, count=30)
    assert changed(shown, 29) == {"left": False, "right": True}
    record = group.locate(picture_at(1.5), 1.5)
    assert set(record.members) == {1, 2} and not record.members[2].face


def test_the_nearer_face_stays_as_it_is_where_it_covers_the_other() -> None:
    near, far = Person(standing(120), side=72), Person(standing(95), side=60)
    edits = {"2:light": 1.0}
    apart = show(make_group(People(far, Person(standing(230), side=72))), edits)
    beside = show(make_group(People(far, near)), edits)
    face = near.face_at(0.0)
    assert face is not None
    inside = np.zeros(SHAPE[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(face.landmarks).astype(np.int32), 1)
    before = picture_at(3 / FPS)
    assert (apart != before).any(2)[inside > 0].any(), "the edit reaches there"
    assert (beside == before).all(2)[inside > 0].all(), "but is kept from the other's face"
    assert (beside != before).any()


def test_masks_leave_out_what_lies_before() -> None:
    masks = masks_by_landmarks(landmarks_in_crop(64), 64)
    head = landmarks_in_crop(64) + np.array([20, 0], np.float32)
    covered = masks.behind([head])
    assert covered.free[32, 52] == pytest.approx(0, abs=0.05) and covered.free[32, 8] == 1
    assert masks.behind([]) is masks


def test_a_fault_of_one_face_leaves_the_other_edited() -> None:
    class OneBreaks(FakeRuntime):
        def invert(self, inputs: Array, state: object) -> tuple[Array, Array, object]:  # type: ignore[override]
            if inputs.mean() == pytest.approx(crops[2].mean(), abs=1e-6):
                raise RuntimeError("the engine broke")
            return super().invert(inputs, state)  # type: ignore[arg-type]

    group = make_group(two_people(), OneBreaks())
    located = group.locate(picture_at(0), 0.0)
    crops = {number: record.sighting.inputs for number, record in located.members.items() if record.sighting}
    result = group.blend(group.generate(located, {"light": 1.0}))
    assert result.error is not None and "broke" in result.error
    assert changed(result.frame, 0) == {"left": False, "right": True}
    assert group.counts.errors == 1


def test_a_tracker_that_breaks_lets_the_frame_pass() -> None:
    class Blind(People):
        def detect(self, frame: Pixels, timestamp_ms: int) -> list[object]:  # type: ignore[override]
            raise RuntimeError("the landmarker broke")

    result = make_group(Blind()).step(frame := picture_at(0), {"light": 1.0}, 0.0)
    assert result.frame is frame and result.error == "RuntimeError: the landmarker broke"


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        make_group(People()).step(np.zeros((4, 4), np.uint8), {}, 0.0)


def test_another_stream_goes_on_with_numbers_and_states() -> None:
    edits = {"2:light": 1.0}
    first = make_group(two_people())
    show(first, edits, count=4)
    expected = show(first, edits, count=2, begin=4)
    whole = make_group(two_people())
    show(whole, edits, count=4)
    second = make_group(two_people())
    second.restore(unpack(pack(whole.save())))
    shown = show(second, edits, count=2, begin=4)
    assert np.abs(shown.astype(int) - expected).max() <= 4, "but for the JPEG of packing"
    assert changed(shown, 5) == {"left": True, "right": False}


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-9], lambda data: b"x" * 40])
def test_damaged_states_are_refused_and_change_nothing(damage: object) -> None:
    stream = make_group(two_people())
    show(stream, {"light": 1.0})
    before = stream.save()
    with pytest.raises(ValueError, match="start a new stream"):
        stream.restore(damage(before))  # type: ignore[operator]
    assert stream.save() == before


def test_the_state_of_one_face_is_none_of_several() -> None:
    single = FaceStream(FakeRuntime(), FixedTracker(), Brighten())
    with pytest.raises(ValueError, match="start a new stream"):
        make_group(People()).restore(single.save())


def test_a_hurried_frame_is_so_for_every_face() -> None:
    runtime, spared = FaultyRuntime(), replace(AT_ONCE, edited_after=1.0)
    group = GroupStream(runtime, make_tracker(two_people(), 2), Brighten(), spared)
    show(group, {"light": 1.0})
    before = runtime.inverted
    located = replace(group.locate(picture_at(4 / FPS), 4 / FPS), hurried=True)
    shown = group.blend(group.generate(located, {"light": 1.0})).frame
    assert runtime.inverted == before and changed(shown, 4) == {"left": True, "right": True}


def test_with_less_time_the_largest_face_is_generated_more_often() -> None:
    runtime = FaultyRuntime()
    group = make_group(two_people(), runtime)
    group.cadence = 2
    show(group, {"1:light": 1.0}, count=8)
    largest = runtime.inverted
    group = make_group(two_people(), runtime := FaultyRuntime())
    group.cadence = 2
    show(group, {"2:light": 1.0}, count=8)
    assert largest > 1.5 * runtime.inverted
