"""Sharing the late codes (Eq. 3) and adding the edit (Eq. 5)."""

from __future__ import annotations

import numpy as np
import pytest

from rigid.inversion.latents import GLIDE_SECONDS, LARGEST_DISTANCE, Anchor, add_edit, share, share_late_codes


def codes(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((1, 6, 4)).astype(np.float32)


def test_the_first_frame_keeps_its_codes_and_hands_on_the_late_ones() -> None:
    first = codes(0)
    shared, late = share_late_codes(first, None, 2)
    np.testing.assert_array_equal(shared, first)
    np.testing.assert_array_equal(late, first[:, 4:])


def test_later_frames_keep_their_early_codes_and_take_the_first_frames_late_ones() -> None:
    _, late = share_late_codes(codes(0), None, 2)
    shared, handed_on = share_late_codes(codes(1), late, 2)
    np.testing.assert_array_equal(shared[:, :4], codes(1)[:, :4])
    np.testing.assert_array_equal(shared[:, 4:], codes(0)[:, 4:])
    np.testing.assert_array_equal(handed_on, late)


def test_the_late_codes_do_not_change_with_the_engines_buffer() -> None:
    first = codes(0)
    _, late = share_late_codes(first, None, 2)
    first[:] = 0
    assert late.any()


def test_an_edit_moves_the_early_codes_by_the_offset_and_leaves_the_shared_ones() -> None:
    before, offset = codes(0), np.arange(24, dtype=np.float32).reshape(6, 4)
    edited = add_edit(before, offset, 2)
    np.testing.assert_array_equal(edited[0, :4], before[0, :4] + offset[:4])
    np.testing.assert_array_equal(edited[0, 4:], before[0, 4:])
    np.testing.assert_array_equal(before, codes(0))


def steady(late: float, size: int = 2) -> np.ndarray:
    """Codes whose shared late ones all have one value."""
    result = np.zeros((1, 6, 4), np.float32)
    result[:, 6 - size :] = late
    return result


@pytest.mark.parametrize("interval", [1 / 25, 1.0, 1e9])
def test_codes_that_no_longer_suit_glide_to_the_frames_own_and_stay_there(interval: float) -> None:
    shared = share(steady(0.0), None, Anchor(), 2, interval)
    values = []
    for _ in range(200):
        shared = share(steady(3 * LARGEST_DISTANCE), shared.late_codes, shared.anchor, 2, interval)
        values.append(float(shared.late_codes.mean()))
        assert (shared.codes[:, 4:] == shared.late_codes).all()
    assert values[0] == 0, "one frame does not tell"
    moving = np.flatnonzero(np.diff(values))
    assert len(moving) >= 5 and max(np.diff(values)) <= 0.5 * 3 * LARGEST_DISTANCE
    assert values[-1] == values[-50] and shared.anchor.gliding == 0
    assert abs(values[-1] - 3 * LARGEST_DISTANCE) < LARGEST_DISTANCE


def test_a_sway_within_the_distance_moves_nothing() -> None:
    shared = share(steady(0.0), None, Anchor(), 2, 0.04)
    first = shared.late_codes
    for i in range(500):
        own = steady(2 * LARGEST_DISTANCE * np.sin(i / 2))
        shared = share(own, shared.late_codes, shared.anchor, 2, 0.04)
    assert shared.late_codes is first


def test_a_request_moves_them_over_several_frames_however_near() -> None:
    shared = share(steady(0.0), None, Anchor(), 2, 0.04)
    shared = share(steady(0.01), shared.late_codes, shared.anchor.asked_to_move(), 2, 0.04)
    assert 0 < shared.late_codes.mean() < 0.002
    for _ in range(round(GLIDE_SECONDS / 0.04)):
        shared = share(steady(0.01), shared.late_codes, shared.anchor, 2, 0.04)
    assert shared.late_codes.mean() == pytest.approx(0.01) and shared.anchor.gliding == 0


def test_where_nothing_is_shared_every_frame_keeps_its_codes() -> None:
    shared = share(codes(0), None, Anchor(), 0, 0.04)
    later = share(codes(1), shared.late_codes, shared.anchor, 0, 0.04)
    np.testing.assert_array_equal(later.codes, codes(1))
