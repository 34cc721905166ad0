"""What an edit changed stands in for an inverted face that is not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.composite.compositor import change_layer
from rigid.inversion.edit_change import OLDEST, EditChange
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
    assert change.undo(pictures[1:]) == pytest.approx(pictures[:1], abs=1e-6)
    later = draw(2)
    assert change.undo(later) == pytest.approx(later - (pictures[1:] - pictures[:1]), abs=1e-6)


def test_a_change_serves_the_same_edits_and_for_so_many_frames() -> None:
    edits = dict(SMILE)
    change = EditChange.between(np.concatenate([draw(), draw(1)]), edits, FACE)
    edits["smile"] = 0.5
    assert not change.serves(edits, FACE, 4)
    for _ in range(OLDEST - 1):
        assert change.serves(SMILE, FACE, 4)
        change = change.one_frame_later()
    assert not change.serves(SMILE, FACE, 4)


def test_a_change_serves_until_a_part_of_the_face_moves() -> None:
    change = EditChange.between(np.concatenate([draw(), draw(1)]), SMILE, FACE)
    mouth, wrong = FACE.copy(), FACE.copy()
    mouth[:60] += (0, 5)
    wrong[0] += (0, 50)
    assert change.serves(SMILE, FACE + np.float32(2), 4) and change.serves(SMILE, wrong, 4)
    assert not change.serves(SMILE, mouth, 4) and change.serves(SMILE, mouth, 6)
    assert not change.serves(SMILE, FACE, 0)


def count_drawn(strengths: Sequence[float], after: float) -> list[int]:
    """How many pictures a stream draws for each frame, of which each is edited by its own strength."""
    runtime = FakeRuntime()
    stream = make_stream(runtime, options=StreamOptions(inverted_after=after))
    drawn = []
    for number, strength in enumerate(strengths):
        before = len(runtime.batches)
        result = stream.step(textured_frame(), {"light": strength}, number / 25)
        assert result.error is None and result.edited == result.face
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
    seen = find_shares([60, 200, 20, 230, 40, 180] * (OLDEST // 4))
    assert {drawn for drawn, _ in seen} == {1, 2}
    for (_, share), (drawn, following) in pairwise(seen):
        assert (np.abs(share - following).max() < 1e-5) == (drawn == 1)
