"""A stream's memory as bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from rigid.composite.compositor import Faces
from rigid.composite.temporal_filter import TemporalFilter
from rigid.inversion.inverter import Memory
from rigid.inversion.latents import Anchor
from rigid.inversion.redrawing import Redrawn
from rigid.models.contract import RecurrentState
from rigid.stream.fading import THUMBNAIL_SHAPE
from rigid.stream.stream_state import Drawn, Lost, StreamState, state_from_bytes, state_to_bytes
from tests.fakes import TINY


def full_state() -> StreamState:
    random = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    hidden, image = (1, *TINY.hidden_shape), (1, 3, TINY.image_size, TINY.image_size)
    late = draw(1, TINY.n_shared_codes, TINY.code_size)
    noise = draw(1, *TINY.noise_shape)
    recurrent = RecurrentState(draw(*hidden), draw(*hidden), draw(*image), draw(*image), draw(*image), late, noise)
    thumbnail = 255 * np.abs(draw(*THUMBNAIL_SHAPE))
    return StreamState(Memory(recurrent, Anchor(draw(*late.shape), 0.25), 1.5), thumbnail, 0.375)


def assert_same(first: StreamState, second: StreamState) -> None:
    for name, value in flat(first).items():
        np.testing.assert_array_equal(value, flat(second)[name], err_msg=name)


def flat(state: StreamState) -> dict[str, object]:
    memory = state.memory
    kept = {"thumbnail": state.thumbnail, "level": state.level, "unseen": memory.unseen}
    return kept | vars(memory.recurrent) | memory.anchor._asdict()


@pytest.mark.parametrize("state", [StreamState.initial(TINY), full_state()], ids=["initial", "full"])
def test_a_state_comes_back_exactly(state: StreamState) -> None:
    assert_same(state_from_bytes(state_to_bytes(state), TINY), state)


def running_state() -> StreamState:
    state = full_state()
    state.memory = replace(state.memory, redrawn=Redrawn({"smile": 1.0}, 0))
    state.drawn = Drawn(np.zeros((2, 3, 4, 4), np.float32), {}, np.zeros((478, 2)))
    faces = Faces(*(np.zeros((64, 64, 3), np.float32) for _ in range(3)))
    state.shown = TemporalFilter().steady(faces, {}, None)
    return state


def left(state: StreamState) -> set[str]:
    """What of it could be gone on from."""
    recurrent, anchor = state.memory.recurrent, state.memory.anchor
    there = {
        "state": recurrent.hidden.any() and recurrent.cell.any() and recurrent.previous_noise is not None,
        "codes": recurrent.late_codes is not None,
        "anchor": anchor.recent is not None or anchor.gliding > 0,
        "redrawn": state.memory.redrawn.edits is not None,
        "pictures": state.drawn is not None,
        "level": bool(state.level),
        "shown": state.shown is not None,
    }
    return {name for name, here in there.items() if here}


@pytest.mark.parametrize(
    ("lost", "gone"),
    [
        (Lost.PICTURES, {"state", "redrawn", "pictures"}),
        (Lost.CODES, {"state", "codes", "anchor"}),
        (Lost.EDIT, {"level"}),
        (Lost.SHOWN, {"shown"}),
        (Lost.PICTURES | Lost.EDIT, {"state", "redrawn", "pictures", "level"}),
    ],
)
def test_a_state_forgets_what_is_lost_and_nothing_else(lost: Lost, gone: set[str]) -> None:
    state = running_state()
    before = left(state)
    state.forget(lost)
    assert before - left(state) == gone and len(before) == 7


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 100, b"\xff" * 64, b"PK\x03\x04" + b"\x00" * 60])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="new stream"):
        state_from_bytes(data, TINY)


def test_a_truncated_state_is_refused() -> None:
    data = state_to_bytes(full_state())
    for length in (4, 9, 200, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match="new stream"):
            state_from_bytes(data[:length], TINY)


@given(position=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_flipped_byte_gives_a_state_or_a_value_error(position: int, value: int) -> None:
    data = bytearray(state_to_bytes(StreamState.initial(TINY)))
    data[position % len(data)] = value
    try:
        state = state_from_bytes(bytes(data), TINY)
    except ValueError:
        return
    assert np.isfinite(state.memory.recurrent.hidden).all()


def test_another_version_is_named() -> None:
    arrays = load(state_to_bytes(full_state()))
    arrays["rigid_live_state"][0] = 99
    with pytest.raises(ValueError, match="version 99, expected 4"):
        state_from_bytes(save(arrays), TINY)


def test_another_profiles_state_is_refused_with_both_shapes() -> None:
    larger = replace(TINY, image_size=TINY.image_size * 2)
    with pytest.raises(
        ValueError, match=r"previous_input is float32 \(1, 3, 64, 64\), expected .*128.*another profile"
    ):
        state_from_bytes(state_to_bytes(full_state()), larger)


@pytest.mark.parametrize("name", ["hidden", "late_codes", "thumbnail"])
def test_values_that_are_no_numbers_are_refused(name: str) -> None:
    arrays = load(state_to_bytes(full_state()))
    arrays[name] = np.full_like(arrays[name], np.nan)
    with pytest.raises(ValueError, match=f"{name} holds values that are not numbers"):
        state_from_bytes(save(arrays), TINY)


@pytest.mark.parametrize("name", ["hidden", "cell"])
def test_a_missing_part_is_refused(name: str) -> None:
    arrays = load(state_to_bytes(full_state()))
    del arrays[name]
    with pytest.raises(ValueError, match="lacks a part"):
        state_from_bytes(save(arrays), TINY)


@pytest.mark.parametrize("level", [-0.1, 1.5, np.inf])
def test_a_level_out_of_range_is_refused(level: float) -> None:
    arrays = load(state_to_bytes(full_state()))
    arrays["level"][0] = level
    with pytest.raises(ValueError, match="new stream"):
        state_from_bytes(save(arrays), TINY)
