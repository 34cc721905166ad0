"""Runtimes round a runtime: they leave a part of the method out, or put another encoder in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from rigid.arrays import Array
from rigid.edits.edit_effect import EditEffect, EditLibrary, Offset
from rigid.models.contract import RecurrentState, Runtime, Sizes

ImageEncoder = Callable[[Array], Array]
"""Aligned RGB (1, 3, S, S) in [-1, 1] → codes (1, n_codes, code_size)."""


class Wrapped:
    """A runtime that does what another does; what it wraps is not closed with it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def name(self) -> str:
        return self.runtime.name

    @property
    def sizes(self) -> Sizes:
        return self.runtime.sizes

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        return self.runtime.invert(inputs, state)

    def synthesize(self, codes: Array, noise: Array) -> Array:
        return self.runtime.synthesize(codes, noise)

    def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
        return self.runtime.synthesize_face(codes, noise, corners)

    def parse(self, pictures: Array) -> Array:
        return self.runtime.parse(pictures)

    def close(self) -> None:
        """Nothing: the wrapped runtime belongs to whoever made it."""


class WholePictures(Wrapped):
    """All of every picture is generated, to be compared with all of the real one."""

    @property
    def sizes(self) -> Sizes:
        return replace(self.runtime.sizes, face_window=None)


class WithoutRecurrence(Wrapped):
    """`--without tcc`: every frame is a stream's first, so nothing compensates over time."""

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        codes, noise, _ = super().invert(inputs, RecurrentState.initial(self.sizes, len(inputs)))
        return codes, noise, replace(state, previous_noise=None)


class WithoutNoiseMap(Wrapped):
    """`--without nm`: the noise map n_t is zero."""

    @property
    def sizes(self) -> Sizes:
        """Without a noise map nothing holds an edit back."""
        return replace(self.runtime.sizes, edit_gain=1.0)

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        codes, noise, after = super().invert(inputs, state)
        return codes, np.zeros_like(noise), after


class WithoutSharing(Wrapped):
    """`--without lfd`: every frame keeps its own late codes, as the stream is told to share none."""

    @property
    def sizes(self) -> Sizes:
        return replace(self.runtime.sizes, n_shared_codes=0)


class EarlyOffsets:
    """Edits that leave the late codes alone also where none are shared, so that every method makes the same edit."""

    def __init__(self, library: EditLibrary, n_late: int) -> None:
        self._library = library
        self._n_late = n_late

    def effect(self, edits: Mapping[str, float], *, level: float = 1.0, gain: float = 1.0) -> EditEffect:
        effect = self._library.effect(edits, level=level, gain=gain)
        return replace(effect, offsets=tuple(partial(self._early, offset) for offset in effect.offsets))

    def _early(self, offset: Offset, codes: Array) -> Array:
        early = offset(codes).copy()
        early[..., early.shape[-2] - self._n_late :, :] = 0
        return early


class Encoded(WithoutSharing):
    """Every frame by itself: codes from `encode`, no noise map, nothing kept from frame to frame."""

    def __init__(self, runtime: Runtime, encode: ImageEncoder) -> None:
        super().__init__(runtime)
        self._encode = encode

    @property
    def sizes(self) -> Sizes:
        return replace(super().sizes, edit_gain=1.0)

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        noise = np.zeros((len(inputs), *self.sizes.noise_shape), np.float32)
        return self._encode(inputs), noise, state
