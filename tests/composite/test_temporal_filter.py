"""Holding generated pictures steady: what shimmers settles, what moves is followed, what changes is let through."""

from __future__ import annotations

import numpy as np
import pytest

from rigid.arrays import Array
from rigid.composite.compositor import Faces
from rigid.composite.temporal_filter import STEADY_SHARE, Steadied, TemporalFilter
from rigid.evaluation.warp_error import MotionEstimator
from tests.worlds import textured_frame

SIZE = 128
SMILE = {"smile": 1.0}
SHIFT = 3
"""Pixels a frame."""


def face(shift: int = 0, seed: int = 0) -> Array:
    """A textured face, moved to the right by `shift` pixels."""
    picture = textured_frame(seed, (SIZE, 2 * SIZE, 3)).astype(np.float32) / np.float32(127.5) - np.float32(1)
    return np.ascontiguousarray(picture[:, SIZE - shift : 2 * SIZE - shift])


def shimmer(number: int, strength: float = 0.1) -> Array:
    """What a generator makes anew each frame: coarse noise."""
    noise = np.random.default_rng(number).standard_normal((SIZE // 8, SIZE // 8, 3))
    return (strength * noise).repeat(8, 0).repeat(8, 1).astype(np.float32)


def moving(number: int, darker: float = 0.0) -> Faces:
    """Frame `number` of a face that moves; its generated faces are right but for shimmer, the edited one darker."""
    real = face(SHIFT * number)
    return Faces(real, real + shimmer(2 * number), real - np.float32(darker) + shimmer(2 * number + 1))


class Video:
    """One stream's faces through a filter, each held by those before."""

    def __init__(self, share: float = STEADY_SHARE) -> None:
        self.filter = TemporalFilter(share)
        self.last: Steadied | None = None

    def steady(self, faces: Faces, edits: dict[str, float] = SMILE, *masks: Array) -> Faces:
        self.last = self.filter.steady(faces, edits, self.last, masks)
        return self.last.faces


def inner(picture: Array) -> Array:
    """Without the border, where a moved picture has no pixels."""
    return picture[24:-24, 24:-24]


def error(pictures: list[Array], real: list[Array]) -> float:
    """Mean square of what the pictures have changed by beside their motion."""
    estimate = MotionEstimator()
    as_bytes = [[np.rint((p + 1) * 127.5).clip(0, 255).astype(np.uint8) for p in row] for row in (pictures, real)]
    motions = [estimate(before, now) for before, now in zip(as_bytes[1], as_bytes[1][1:], strict=False)]
    return float(np.mean([m.error(*as_bytes[0][i : i + 2]) for i, m in enumerate(motions)]))


def test_shimmer_settles_while_the_motion_is_followed() -> None:
    given = [moving(number) for number in range(8)]
    video = Video()
    steadied = [video.steady(faces, SMILE) for faces in given]
    real = [faces.real for faces in given]
    for kind in ("inverted", "edited"):
        before, after = (error([getattr(f, kind) for f in row], real) for row in (given, steadied))
        assert after < 0.35 * before
        raw, held = (float(np.square(inner(getattr(row[-1], kind) - real[-1])).mean()) for row in (given, steadied))
        assert held < 0.6 * raw, "the mean of several is nearer to the truth than one"
    assert all(before.real is after.real for before, after in zip(given, steadied, strict=True))


def test_what_is_drawn_of_hair_is_held_more() -> None:
    video, hair = Video(), np.zeros((SIZE, SIZE), np.float32)
    hair[: SIZE // 2] = 1
    for number in range(8):
        last = video.steady(moving(number), SMILE, np.zeros_like(hair), hair)
    left = {kind: np.square(inner(getattr(last, kind) - last.real)) for kind in ("inverted", "edited")}
    half = len(left["edited"]) // 2
    assert left["edited"][: half - 4].mean() < 0.7 * left["edited"][half + 4 :].mean()
    assert left["inverted"][: half - 4].mean() > 0.8 * left["inverted"][half + 4 :].mean()


@pytest.mark.parametrize("others", [0, 1], ids=["face", "hair"])
def test_a_mask_that_trembles_settles_and_moves_with_the_head(others: int) -> None:
    video, true = Video(), np.zeros((SIZE, SIZE), np.float32)
    true[32:96, 32:64] = 1
    left: dict[str, float] = {}
    for number in range(8):
        expected = np.roll(true, SHIFT * number, 1)
        given = expected + shimmer(number)[..., 0]
        video.steady(moving(number), SMILE, *[true] * others, given)
        assert video.last is not None
        held = video.last.masks[others]
        left = {"given": np.square(inner(given - expected)).mean(), "held": np.square(inner(held - expected)).mean()}
    assert left["held"] < 0.6 * left["given"]
    video.steady(moving(8), {"age": 1.0}, *[true] * (others + 1))
    assert video.last is not None and video.last.masks[others] is true, "another edit's mask is shown at once"


def test_an_edit_that_is_now_meant_for_the_hair_as_well_is_shown_at_once() -> None:
    video, mask = Video(), np.ones((SIZE, SIZE), np.float32)
    video.steady(moving(0), SMILE, mask)
    faces = moving(1, darker=0.5)
    assert np.array_equal(video.steady(faces, SMILE, mask, mask).edited, faces.edited)


def test_the_first_faces_and_those_after_a_forgotten_one_are_as_they_came() -> None:
    video = Video()
    for faces in (moving(0), moving(1)):
        steadied = video.steady(faces, SMILE)
        assert np.array_equal(steadied.inverted, faces.inverted) and np.array_equal(steadied.edited, faces.edited)
        video.last = None


def test_another_edit_is_shown_at_once() -> None:
    video = Video()
    video.steady(moving(0), SMILE)
    faces = moving(1, darker=0.5)
    steadied = video.steady(faces, {"age": 1.0})
    assert np.array_equal(steadied.edited, faces.edited)
    assert not np.array_equal(steadied.inverted, faces.inverted)


def test_where_the_real_face_changed_the_newest_picture_counts() -> None:
    before, now = face(), face()
    now[32:96, 32:64] = 0.9
    video = Video()
    video.steady(Faces(before, before, before), SMILE)
    dark = np.full_like(now, -1)
    held = video.steady(Faces(now, dark, dark), SMILE).inverted
    assert np.abs(held[40:88, 40:56] + 1).max() < 0.05, "where it changed"
    expected = -1 + STEADY_SHARE * (before[8:24, 100:120] + 1)
    np.testing.assert_allclose(held[8:24, 100:120], expected, atol=0.1)


def test_after_a_cut_little_is_left_of_the_face_before() -> None:
    video = Video()
    other, now = face(seed=3), -face()
    video.steady(Faces(other, other, other), SMILE)
    held = video.steady(Faces(now, now, now), SMILE)
    assert np.abs(held.inverted - now).mean() < 0.1


def test_without_a_share_everything_is_as_it_came() -> None:
    video = Video(0.0)
    for number in range(3):
        faces = moving(number)
        assert video.steady(faces, SMILE) is faces


def test_faces_move_along_with_the_real_one() -> None:
    video = Video()
    given = moving(0, darker=0.3)
    video.steady(given, SMILE)
    assert video.last is not None
    for number in (1, 2):
        real = face(SHIFT * number)
        moved = video.filter.move_along(real, video.last).faces
        assert np.array_equal(moved.real, real)
        expected = np.roll(given.edited, SHIFT * number, 1)
        assert np.abs(inner(moved.edited - expected)).mean() < 0.05
        assert np.abs(inner(given.edited - expected)).mean() > 0.1
