"""Everything one viewer's stream remembers between frames, and its form as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Flag, auto

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rigid.arrays import Array
from rigid.composite.temporal_filter import Steadied
from rigid.geometry import Points
from rigid.inversion.inverter import Memory
from rigid.inversion.latents import Anchor
from rigid.inversion.redrawing import Redrawn
from rigid.models.contract import PICTURES, RecurrentState, Sizes
from rigid.stream.fading import THUMBNAIL_SHAPE
from rigid.stream.frame_record import Sighting

STATE_VERSION = 4
"""The number is raised whenever the saved form changes; bytes of another version are refused."""


class Lost(Flag):
    """What a stream is not to go on from."""

    PICTURES = auto()
    """What was generated, and all that moves from frame to frame with it; what is generated next begins as a stream's
    first frame does, on the same late codes."""
    CODES = auto()
    """The late codes that frames share: they are another face's, or too old."""
    EDIT = auto()
    """How far the edit is faded in."""
    SHOWN = auto()
    """The faces that were shown; of `blend` alone."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was generated for a face that was found; later frames of it may do with that."""

    pictures: Array
    """The inverted and the edited face, as in a frame's record."""
    edits: Mapping[str, float]
    """By what these differ."""
    landmarks: Points
    """Where the face was, (478, 2), crop pixels."""
    parts: Array | None = None
    """What the face parser made of the edited face, (1, C, n, n); None without one."""
    age: int = 0
    """How many frames ago that was."""


@dataclass(eq=False)
class StreamState:
    """What one frame hands to the next.

    The stages may be at work at once: `shown` and `faults` are written by `blend` alone, all others by `generate`.
    """

    memory: Memory
    """What the networks go on from."""
    thumbnail: Array | None = None
    """The face last found, as `rigid.stream.fading.thumbnail` makes it."""
    level: float | None = None
    """How far the edit is faded in, 0 to 1, None before the first frame."""

    # What follows is not saved: the next frames show it.
    timestamp: float | None = None
    """Seconds of the last frame."""
    sighting: Sighting | None = None
    """Where the face was whose edit is shown or fades."""
    drawn: Drawn | None = None
    """What was generated last."""
    drawn_fault: Array | None = None
    """e of the last frame, where its inverted face was drawn after it was shown."""
    known_faults: int = 0
    """How many of the faults `generate` has begun anew after."""
    faults: int = 0
    """How many frames could not be blended."""
    shown: Steadied | None = None
    """The faces last shown, with e where the inverted one was last drawn."""
    reanchor: bool = False
    """Whether the late codes are asked to move to what the next frames show; set from any thread."""

    @classmethod
    def initial(cls, sizes: Sizes) -> StreamState:
        """The state before the first frame."""
        return cls(Memory.initial(sizes))

    def forget(self, lost: Lost) -> None:
        """Begin anew without what is `lost`: the only way to."""
        if Lost.SHOWN in lost:
            self.shown = None
        if Lost.EDIT in lost:
            self.level = 0.0
        if Lost.PICTURES in lost:
            self.drawn = None
            self.memory = replace(
                self.memory, recurrent=self.memory.recurrent.at_rest(), redrawn=Redrawn(), change=None, owed=None
            )
        if Lost.CODES in lost:
            bare = replace(self.memory.recurrent.at_rest(), late_codes=None)
            self.memory = replace(self.memory, recurrent=bare, anchor=Anchor(), change=None, owed=None)


def state_to_bytes(state: StreamState) -> bytes:
    """What of `state` another stream needs as safetensors: arrays only, so that loading it runs no code."""
    memory = state.memory
    arrays: dict[str, np.ndarray] = {
        "rigid_live_state": np.array([STATE_VERSION], np.int64),
        "level": np.array([np.nan if state.level is None else state.level], np.float64),
        "unseen": np.array([memory.unseen], np.float64),
        "gliding": np.array([memory.anchor.gliding], np.float64),
    }
    parts: dict[str, Array | None] = dict(vars(memory.recurrent))
    parts |= {"recent": memory.anchor.recent, "thumbnail": state.thumbnail}
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
    anchor, thumbnail = Anchor(parts.pop("recent"), gliding), parts.pop("thumbnail")
    memory = Memory(RecurrentState(hidden=hidden, cell=cell, **parts), anchor, unseen)
    return StreamState(memory, thumbnail, None if np.isnan(level) else level)


def _check_scalars(arrays: Mapping[str, np.ndarray]) -> None:
    _check_scalar(arrays, "rigid_live_state", np.int64)
    version = int(arrays["rigid_live_state"][0])
    if version != STATE_VERSION:
        raise ValueError(f"The saved stream state has version {version}, expected {STATE_VERSION}; start a new stream.")
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
