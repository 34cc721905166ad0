"""Sharing the late codes (Eq. 3) and adding the edit (Eq. 5)."""

from __future__ import annotations

import numpy as np

from rigid.latents import add_edit, share_late_codes


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
