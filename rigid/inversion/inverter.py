"""One frame through the networks (Eq. 1 to 5): the face as codes and noise map, inverted and edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from rigid.edits.edit_effect import Reach
from rigid.geometry import Points
from rigid.inversion.edited_noise import EditedNoise
from rigid.inversion.face_window import face_corner, surrounded
from rigid.inversion.latents import Anchor, Shared, add_edit, share
from rigid.inversion.noise_smoothing import settled
from rigid.models.contract import Array, RecurrentState, Runtime
from rigid.stopwatch import Stopwatch


class Offsets(Protocol):
    """What edits do to the codes; `rigid.edits.library.AttributeLibrary` is one."""

    def offset(self, edits: Mapping[str, float], codes: Array | None = None) -> Array:
        """float32 (n_codes, code_size) to add to the codes (Eq. 5).

        Where an edit depends on them, (B, n_codes, code_size) for the given `codes` (B, n_codes, code_size).
        """

    def in_video(self, edits: Mapping[str, float]) -> Mapping[str, float]:
        """The strengths by which a stream whose noise map holds edits back does what `edits` say.

        What it leaves out, or gives no strength, is not generated.
        """

    def of_hair(self, edits: Mapping[str, float]) -> float:
        """How far `edits` are meant for the hair, 0 to 1."""

    def of_face(self, edits: Mapping[str, float]) -> float:
        """How far `edits` are meant for anything but the hair, 0 to 1."""

    def but_hair(self, edits: Mapping[str, float]) -> Mapping[str, float]:
        """Those of `edits` that are meant for anything but the hair."""

    def shuts_eyes(self, edits: Mapping[str, float]) -> float:
        """How far what `edits` make of the eyes is to be shown whole, as they shut them, 0 to 1."""

    def motion(self, edits: Mapping[str, float]) -> Points | None:
        """By how much such a stream moves the landmarks besides, (478, 2) in crop sides; None for not at all."""


class Memory(NamedTuple):
    """What is remembered of the frames before."""

    recurrent: RecurrentState
    """The networks' state."""
    anchor: Anchor
    """How the shared late codes stand to what is seen."""
    unseen: float
    """Seconds since the networks last had a face."""


@dataclass(frozen=True)
class AlignedFace:
    """What the networks are given of one frame."""

    inputs: Array
    """(1, 3, S, S) in [-1, 1]."""
    landmarks: Points
    """(478, 2), crop pixels."""


@dataclass(frozen=True)
class Inverted:
    """A face as the generator's codes and its pictures, and the networks' state after it."""

    inputs: Array
    shared: Shared
    noise: Array
    recurrent: RecurrentState
    pictures: Array
    """(2, 3, S, S) in [-1, 1]: the inverted and the edited face. (3, 3, S, S) where both the hair and the face are
    edited: then the face edited without its hair as well, since edits of the hair change generated skin, too."""

    def next_state(self) -> RecurrentState:
        """What the next frame starts from."""
        return self.recurrent.after(
            self.inputs, self.pictures[:1], self.pictures[1:2], self.shared.late_codes, self.noise
        )


class Inverter:
    """One stream's way through the networks of a runtime, which is not closed with it."""

    def __init__(self, runtime: Runtime, library: Offsets) -> None:
        self._runtime, self._library = runtime, library
        self._edited_noise = EditedNoise(runtime.synthesize)

    def __call__(
        self, face: AlignedFace, memory: Memory, edits: Mapping[str, float], watch: Stopwatch, passes: int = 1
    ) -> Inverted:
        """The face inverted and edited, from the `memory` of the frames before.

        `passes`: how often it goes through a recurrent encoder, which the first time knows nothing of what the
        generator makes of this face.
        ArithmeticError when the engine returns values that are not finite.
        """
        inverted = self._pass(face, memory, edits, watch)
        for _ in range(1, passes):
            if np.array_equal(inverted.recurrent.hidden, memory.recurrent.hidden):
                break  # there is no recurrent encoder
            inverted = self._pass(face, memory._replace(recurrent=inverted.next_state()), edits, watch)
        return inverted

    def reach(self, edits: Mapping[str, float]) -> Reach:
        """How far `edits`, those in hand, go."""
        motion = self._library.motion(edits) if self._holds_back else None
        return Reach(self._edited_noise.covered, self._library.of_hair(edits), self._of_face(edits), motion)

    def leaves_codes(self, edits: Mapping[str, float]) -> bool:
        """Whether `edits` do no more than move the landmarks, so that nothing need be generated."""
        return any(edits.values()) and not any(self._strengths(edits).values())

    def _of_face(self, edits: Mapping[str, float]) -> float:
        """How far those of `edits` that are generated, not done by motion alone, are meant for more than the hair."""
        generated = {name: edits[name] for name, strength in self._strengths(edits).items() if strength}
        return self._library.of_face(generated)

    @property
    def _holds_back(self) -> bool:
        """Whether the profile's noise map holds edits back."""
        return self._runtime.sizes.edit_gain != 1

    def _strengths(self, edits: Mapping[str, float]) -> Mapping[str, float]:
        return self._library.in_video(edits) if self._holds_back else edits

    def forget(self) -> None:
        """Begin anew, as when another face comes; the memory itself lies in the state."""
        self._edited_noise.forget()

    def _pass(self, face: AlignedFace, memory: Memory, edits: Mapping[str, float], watch: Stopwatch) -> Inverted:
        sizes, inputs = self._runtime.sizes, face.inputs
        n_shared = sizes.n_shared_codes
        with watch("invert"):
            codes, noise, recurrent = self._runtime.invert(inputs, memory.recurrent)
            _require_finite(codes, noise, recurrent.hidden, recurrent.cell)
            noise = settled(noise, recurrent.previous_noise, inputs, recurrent.previous_input, sizes.newest_noise_share)
            shared = share(codes, memory.recurrent.late_codes, memory.anchor, n_shared, memory.unseen)
        with watch("synthesize"):
            edited = [self._edited_codes(shared.codes, some) for some in self._sets(edits)]
            landmarks, shut = face.landmarks / sizes.image_size, self._library.shuts_eyes(edits)
            all_codes = np.concatenate([shared.codes, *edited])
            edited_noise = self._edited_noise(noise, all_codes, edits, landmarks, shut)
            noises = np.concatenate([noise, *(edited_noise for _ in edited)])
            # one batch costs less than two
            pictures = self._pictures(all_codes, noises, face, edits)
            _require_finite(pictures)
        return Inverted(inputs, shared, noise, recurrent, pictures)

    def _sets(self, edits: Mapping[str, float]) -> list[Mapping[str, float]]:
        """The edits to make a picture of each: all, and where hair and face are edited, those of the face alone."""
        both = self._library.of_hair(edits) and self._of_face(edits)
        return [edits, self._library.but_hair(edits)] if both else [edits]

    def _edited_codes(self, codes: Array, edits: Mapping[str, float]) -> Array:
        sizes = self._runtime.sizes
        offset = np.float32(sizes.edit_gain) * self._library.offset(self._strengths(edits), codes)
        return add_edit(codes, offset, sizes.n_shared_codes)

    def _pictures(self, codes: Array, noise: Array, face: AlignedFace, edits: Mapping[str, float]) -> Array:
        """`codes` and `noise` (B, …) as pictures (B, 3, S, S): all of them, or where only the face is edited, that."""
        sizes = self._runtime.sizes
        corner = None
        if sizes.face_window is not None and not self._library.of_hair(edits):
            corner = face_corner(face.landmarks, sizes)
        if corner is None:
            return self._runtime.synthesize(codes, noise)
        corners = np.full((len(codes), 2), corner, np.float32)
        return surrounded(self._runtime.synthesize_face(codes, noise, corners), corner, face.inputs, sizes)


def _require_finite(*arrays: Array) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ArithmeticError("the engine returned values that are not finite numbers")
