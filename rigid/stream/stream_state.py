"""Everything one viewer's stream remembers between frames, and its form as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rigid.inversion.inverter import Memory
from rigid.inversion.latents import Anchor
from rigid.models.contract import PICTURES, Array, RecurrentState, Sizes
from rigid.stream.fading import THUMBNAIL_SHAPE

VERSION = 4
"""Raised whenever the saved form changes; bytes of another version are refused."""


@dataclass(frozen=True)
class StreamState:
    """What one frame hands to the next."""

    recurrent: RecurrentState
    """The networks' state."""
    anchor: Anchor = field(default_factory=Anchor)
    """How the shared late codes stand to what is seen."""
    thumbnail: Array | None = None
    """The face last found, as `rigid.stream.fading.thumbnail` makes it."""
    level: float | None = None
    """How far the edit is faded in, 0 to 1, None before the first frame."""
    unseen: float = 0.0
    """Seconds since the networks last had a face."""

    @classmethod
    def initial(cls, sizes: Sizes) -> StreamState:
        """The state before the first frame."""
        return cls(RecurrentState.initial(sizes))

    @property
    def memory(self) -> Memory:
        """What the networks go on from."""
        return Memory(self.recurrent, self.anchor, self.unseen)

    def with_level(self, level: float, generated: bool = True) -> StreamState:
        """This state one frame on.

        With level 0, or where nothing was `generated`, what moves from frame to frame comes to rest, and what is
        generated next begins as a stream's first frame does, on the same late codes.
        """
        if level and generated:
            return replace(self, level=level)
        return replace(self, level=level, recurrent=self.recurrent.at_rest())


def state_to_bytes(state: StreamState) -> bytes:
    """`state` as safetensors: arrays only, so that loading it runs no code."""
    arrays: dict[str, np.ndarray] = {
        "rigid_live_state": np.array([VERSION], np.int64),
        "level": np.array([np.nan if state.level is None else state.level], np.float64),
        "unseen": np.array([state.unseen], np.float64),
        "gliding": np.array([state.anchor.gliding], np.float64),
    }
    parts: dict[str, Array | None] = dict(vars(state.recurrent))
    parts |= {"recent": state.anchor.recent, "thumbnail": state.thumbnail}
    return save(arrays | {name: np.ascontiguousarray(value) for name, value in parts.items() if value is not None})


def state_from_bytes(data: bytes, sizes: Sizes) -> StreamState:
    """The state that `state_to_bytes` wrote; ValueError when the bytes are damaged, foreign or of another profile."""
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("The saved stream state is damaged or not one; start a new stream.") from error
    _check_scalars(arrays)
    level, unseen, gliding = (float(arrays[name][0]) for name in ("level", "unseen", "gliding"))
    parts = {name: _checked(arrays, name, shape) for name, shape in _shapes(sizes).items()}
    hidden, cell = parts.pop("hidden"), parts.pop("cell")
    sound = (np.isnan(level) or 0.0 <= level <= 1.0) and 0.0 <= unseen < np.inf and 0.0 <= gliding < np.inf
    if hidden is None or cell is None or not sound:
        raise ValueError("The saved stream state lacks a part; start a new stream.")
    return StreamState(
        anchor=Anchor(parts.pop("recent"), gliding),
        thumbnail=parts.pop("thumbnail"),
        recurrent=RecurrentState(hidden=hidden, cell=cell, **parts),
        level=None if np.isnan(level) else level,
        unseen=unseen,
    )


def _check_scalars(arrays: Mapping[str, np.ndarray]) -> None:
    _check_scalar(arrays, "rigid_live_state", np.int64)
    version = int(arrays["rigid_live_state"][0])
    if version != VERSION:
        raise ValueError(f"The saved stream state has version {version}, expected {VERSION}; start a new stream.")
    for name in ("level", "unseen", "gliding"):
        _check_scalar(arrays, name, np.float64)


def _check_scalar(arrays: Mapping[str, np.ndarray], name: str, kind: type[np.generic]) -> None:
    if name not in arrays or arrays[name].shape != (1,) or arrays[name].dtype != kind:
        raise ValueError("The bytes are not a saved stream state; start a new stream.")


def _shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    image = (1, 3, sizes.image_size, sizes.image_size)
    return {
        "hidden": (1, *sizes.hidden_shape),
        "cell": (1, *sizes.hidden_shape),
        **dict.fromkeys(PICTURES, image),
        **dict.fromkeys(("late_codes", "recent"), (1, sizes.n_shared_codes, sizes.code_size)),
        "previous_noise": (1, *sizes.noise_shape),
        "thumbnail": THUMBNAIL_SHAPE,
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
