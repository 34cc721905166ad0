"""What an edit changed stands in for an inverted face that is not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.composite.compositor import change_layer
from rigid.inversion.edit_change import OLDEST, EditChange, Use
from rigid.stream.face_stream import StreamOptions
from tests.fakes import TINY, FakeRuntime
from tests.worlds import make_stream, textured_frame

SMILE = {"smile": 1.0}
SIDE = TINY.image_size
AFTER = 4 / 256
FACE = np.random.default_rng(3).uniform(0, SIDE, (478, 2)).astype(np.float32)


def draw(seed: int = 0) -> Array:
    """A picture (1, 3, S, S)."""
    return np.random.default_rng(seed).uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32)


def test_a_change_is_undone_to_the_last_pixel() -> None:
    pictures = np.concatenate([draw(), draw(1)])
    change = EditChange.between(pictures, SMILE, FACE)
    assert change.undo(pictures[1:]) == pytest.approx(pictures, abs=1e-6)
    later = draw(2)
    assert change.undo(later)[:1] == pytest.approx(later - (pictures[1:] - pictures[:1]), abs=1e-6)


def test_a_change_serves_the_same_edits_and_for_so_many_frames() -> None:
    edits = dict(SMILE)
    change = EditChange.between(np.concatenate([draw(), draw(1)]), edits, FACE)
    edits["smile"] = 0.5
    assert change.find_use(edits, FACE, 4) is Use.NONE
    for _ in range(OLDEST - 1):
        assert change.find_use(SMILE, FACE, 4) is Use.WHOLE
        change = change.one_frame_later()
    assert change.find_use(SMILE, FACE, 4) is Use.LAST


def test_a_change_serves_until_a_part_of_the_face_moves() -> None:
    change = EditChange.between(np.concatenate([draw(), draw(1)]), SMILE, FACE)
    mouth, wrong = FACE.copy(), FACE.copy()
    mouth[:60] += (0, 5)
    wrong[0] += (0, 50)
    assert change.find_use(SMILE, FACE + np.float32(2), 4) is change.find_use(SMILE, wrong, 4) is Use.WHOLE
    uses = [change.find_use(SMILE, mouth, farthest) for farthest in (4, 6, 8)]
    assert uses == [Use.NONE, Use.LAST, Use.WHOLE]
    assert change.find_use(SMILE, FACE, 0) is Use.NONE


def count_drawn(strengths: Sequence[float], after: float) -> list[int]:
    """How many pictures a stream draws for each frame, of which each is edited by its own strength."""
    runtime = FakeRuntime()
    stream = make_stream(runtime, options=StreamOptions(inverted_after=after))
    drawn = []
    for number, strength in enumerate(strengths):
        before = len(runtime.batches)
        result = stream.step(textured_frame(), {"light": strength}, number / 25)
        assert result.error is None and result.edited == result.face
        stream.catch_up()
        drawn.append(sum(runtime.batches[before:]))
    stream.close()
    return drawn


def test_a_stream_draws_the_inverted_face_of_a_still_one_rarely_where_it_may() -> None:
    strengths = [1.0] * (4 * OLDEST)
    assert set(count_drawn(strengths, 0)[-OLDEST:]) == {2}
    assert sorted(count_drawn(strengths, AFTER)[-OLDEST:]) == [1] * (OLDEST - 1) + [2]


def test_how_often_the_inverted_face_is_drawn_may_change_while_a_stream_runs() -> None:
    runtime = FakeRuntime()
    stream = make_stream(runtime)
    drawn = []
    for number in range(30 + 2 * OLDEST):
        stream.inverted_after = 0 if number < 30 else AFTER
        before = len(runtime.batches)
        stream.step(textured_frame(), SMILE, number / 25)
        drawn.append(sum(runtime.batches[before:]))
    stream.close()
    assert drawn[25:30] == [2] * 5 and sum(drawn[-OLDEST:]) == OLDEST + 1


def test_both_faces_are_drawn_while_the_edit_changes() -> None:
    assert set(count_drawn([number / 50 for number in range(10, 50)], AFTER)[-30:]) == {2}


def test_what_is_shown_is_the_same_where_nothing_moves() -> None:
    streams = [make_stream(options=StreamOptions(inverted_after=after)) for after in (0, AFTER)]
    for number in range(20):
        whole, spared = (stream.step(textured_frame(), {"light": 1.0}, number / 25).frame for stream in streams)
        assert np.abs(whole.astype(int) - spared).max() <= 1


def with_mouth(value: int) -> Pixels:
    """The world's frame with a small mouth, dark or bright, that the runtime's mosaic shows otherwise."""
    frame = textured_frame()
    frame[52:56, 58:70] = value
    return frame


def find_shares(mouths: Sequence[int]) -> list[tuple[int, Array]]:
    """Of each frame, once the edit is faded in, how many pictures were drawn and how far E takes I's place, (S, S)."""
    runtime = FakeRuntime()
    stream = make_stream(runtime, options=StreamOptions(inverted_after=AFTER))
    seen = []
    for number, value in enumerate([mouths[0]] * 10 + list(mouths)):
        before = len(runtime.batches)
        faces = stream.step(with_mouth(value), {"light": 0.3}, number / 25).faces
        assert faces is not None
        weight = change_layer(faces, faces.edited, np.ones((SIDE, SIDE), np.float32)).weight
        seen.append((sum(runtime.batches[before:]), weight))
    stream.close()
    return seen[10:]


def test_a_mouth_that_opens_leaves_the_share_of_the_edit_until_the_inverted_face_is_drawn() -> None:
    seen = find_shares([60, 200, 20, 230, 40] * (OLDEST // 2))
    assert {drawn for drawn, _ in seen} == {1, 2}
    for (_, share), (drawn, following) in pairwise(seen):
        assert (np.abs(share - following).max() < 1e-5) == (drawn == 1)


def test_an_inverted_face_that_is_due_is_drawn_once_after_its_frame_and_for_the_next_one() -> None:
    shown: dict[bool, list[Pixels]] = {True: [], False: []}
    later = []
    for at_once, frames in shown.items():
        runtime = FakeRuntime()
        stream = make_stream(runtime, options=StreamOptions(inverted_after=AFTER))
        for number in range(3 * OLDEST):
            frames.append(stream.step(with_mouth(20 * (number % 5)), {"light": 0.3}, number / 25).frame)
            blended = len(runtime.batches)
            for _ in range(2 * at_once):
                stream.catch_up()
            later += runtime.batches[blended:]
        stream.close()
    assert later == [1] * 2
    assert all(np.array_equal(*pair) for pair in zip(*shown.values(), strict=True))


def test_where_an_inverted_face_cannot_be_drawn_later_the_next_frame_has_both() -> None:
    class Failing(FakeRuntime):
        failing = False

        def synthesize(self, codes: Array, noise: Array) -> Array:
            if self.failing:
                raise RuntimeError("no memory")
            return super().synthesize(codes, noise)

    runtime = Failing()
    stream = make_stream(runtime, options=StreamOptions(inverted_after=AFTER))
    drawn = []
    for number in range(4 * OLDEST):
        before = len(runtime.batches)
        result = stream.step(textured_frame(), {"light": 1.0}, number / 25)
        assert result.error is None and result.edited
        drawn.append(runtime.batches[before:])
        runtime.failing = True
        stream.catch_up()
        runtime.failing = False
    stream.close()
    assert drawn[-OLDEST:].count([2]) == 1 and drawn[-OLDEST:].count([1]) == OLDEST - 1
