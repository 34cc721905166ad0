"""Everything one viewer's stream remembers between frames, and its form as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rigid.composite import FLOW_SIZE, TransferState
from rigid.models.contract import Array, RecurrentState, Sizes

VERSION = 1
"""Raised whenever the saved form changes; bytes of another version are refused."""
IMAGES = ("previous_input", "previous_inverted", "previous_edited")


@dataclass(frozen=True)
class StreamState:
    """What one frame hands to the next.

    `recurrent`: the networks' state. `transfer`: the composite's. `level`: how far the edit is faded in,
    0 to 1, None before the first frame. `seen`: frames since the stream began.
    """

    recurrent: RecurrentState
    transfer: TransferState = field(default_factory=TransferState)
    level: float | None = None
    seen: int = 0

    @classmethod
    def initial(cls, sizes: Sizes) -> StreamState:
        """The state before the first frame."""
        return cls(RecurrentState.initial(sizes))

    def with_level(self, level: float) -> StreamState:
        """This state one frame on; what a composite remembers ends with its edit."""
        return replace(self, level=level, seen=self.seen + 1, transfer=self.transfer if level else TransferState())


def state_to_bytes(state: StreamState) -> bytes:
    """`state` as safetensors: arrays only, so that loading it runs no code."""
    level = np.nan if state.level is None else state.level
    arrays: dict[str, np.ndarray] = {
        "rigid_live_state": np.array([VERSION], np.int64),
        "level": np.array([level], np.float64),
        "seen": np.array([state.seen], np.int64),
    }
    parts = vars(state.recurrent) | vars(state.transfer)
    return save(arrays | {name: np.ascontiguousarray(value) for name, value in parts.items() if value is not None})


def state_from_bytes(data: bytes, sizes: Sizes) -> StreamState:
    """The state that `state_to_bytes` wrote; ValueError when the bytes are damaged, foreign or of another profile."""
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("The saved stream state is damaged or not one; start a new stream.") from error
    _check_version(arrays)
    shapes = _shapes(sizes)
    fields = {name: _checked(arrays, name, shape) for name, shape in shapes.items()}
    hidden, cell = fields.pop("hidden"), fields.pop("cell")
    level = float(arrays["level"][0])
    if hidden is None or cell is None or not (np.isnan(level) or 0.0 <= level <= 1.0):
        raise ValueError("The saved stream state lacks a part; start a new stream.")
    transfer = TransferState(fields.pop("flow"), fields.pop("shares"))
    recurrent = RecurrentState(hidden=hidden, cell=cell, **fields)
    return StreamState(recurrent, transfer, None if np.isnan(level) else level, int(arrays["seen"][0]))


def _check_version(arrays: Mapping[str, np.ndarray]) -> None:
    scalars = {"rigid_live_state": np.int64, "level": np.float64, "seen": np.int64}
    for name, kind in scalars.items():
        if name not in arrays or arrays[name].shape != (1,) or arrays[name].dtype != kind:
            raise ValueError("The bytes are not a saved stream state; start a new stream.")
    version = int(arrays["rigid_live_state"][0])
    if version != VERSION:
        raise ValueError(f"The saved stream state has version {version}, expected {VERSION}; start a new stream.")


def _shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    image = (1, 3, sizes.image_size, sizes.image_size)
    return {
        "hidden": (1, *sizes.hidden_shape),
        "cell": (1, *sizes.hidden_shape),
        **dict.fromkeys(IMAGES, image),
        "late_codes": (1, sizes.n_shared_codes, sizes.code_size),
        "flow": (FLOW_SIZE, FLOW_SIZE, 2),
        "shares": (FLOW_SIZE // 2, FLOW_SIZE // 2, 2),
    }


def _checked(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> Array | None:
    if name not in arrays:
        return None
    value = arrays[name]
    if value.shape != shape or value.dtype != np.float32:
        raise ValueError(
            f"The saved stream state's {name} is {value.dtype} {value.shape}, expected float32 {shape}; "
            "it belongs to another profile: start a new stream."
        )
    if not np.isfinite(value).all():
        raise ValueError(f"The saved stream state's {name} holds values that are not numbers; start a new stream.")
    return value
