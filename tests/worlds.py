"""A tiny world for the stream: a frame, a face that stays where it is put, and edits that brighten."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels
from rigid.edits.edit_effect import EditEffect
from rigid.face.alignment import Face, TrackedFace
from rigid.face.landmarks import FACE_OVAL, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from rigid.fields import smooth
from rigid.geometry import Transform, apply, inverse, similarity
from rigid.models.contract import RecurrentState, Runtime, Sizes
from rigid.stream.face_stream import FaceStream, StreamOptions
from rigid.stream.group_stream import AnyStream
from rigid.stream.stream_state import state_from_bytes
from tests.fakes import TINY, FakeRuntime

FRAME_SHAPE = (96, 128, 3)


def textured_frame(seed: int = 0, shape: tuple[int, int, int] = FRAME_SHAPE) -> Pixels:
    """A picture that is smooth enough to follow and nowhere flat."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = np.stack([np.sin(x / 5 + seed), np.cos(y / 4 + seed), np.sin((x + y) / 6 + seed)], -1)
    picture: Pixels = np.rint(110 + 50 * waves).astype(np.uint8)
    return picture


def landmarks_in_crop(size: int) -> NDArray[np.float32]:
    """(478, 2): an upright face in the middle of a crop."""
    points = np.full((478, 2), size / 2, np.float32)
    for indices, x in ((LEFT_EYE, 0.4), (RIGHT_EYE, 0.6)):
        angles = np.linspace(0, 2 * np.pi, len(indices), endpoint=False)
        points[indices] = size * (np.array([x, 0.42]) + np.stack([0.05 * np.cos(angles), 0.02 * np.sin(angles)], -1))
    for indices, centre, radii in ((FACE_OVAL, (0.5, 0.5), (0.25, 0.33)), (OUTER_LIPS, (0.5, 0.65), (0.1, 0.04))):
        angles = np.linspace(0, 2 * np.pi, len(indices), endpoint=False) - np.pi / 2
        points[indices] = size * (np.array(centre) + np.array(radii) * np.stack([np.cos(angles), np.sin(angles)], -1))
    return points


class FixedTracker:
    """Sees a face at `centre`, except in the frames (counted from 0) where it is told to be blind or to break."""

    def __init__(self, centre: tuple[float, float] = (64, 48), side: float = 60.0, size: int = TINY.image_size):
        self.transform: Transform = similarity(np.array(centre), side, 0.0, (size, size))
        self.size = size
        self.blind: set[int] = set()
        self.broken: set[int] = set()
        self.seen = 0
        self.closed = False

    def track(self, frame: Pixels, timestamp: float) -> TrackedFace | None:
        number = self.seen
        self.seen += 1
        if number in self.broken:
            raise RuntimeError("the landmarker broke")
        if number in self.blind:
            return None
        landmarks = apply(inverse(self.transform), landmarks_in_crop(self.size)).astype(np.float32)
        return TrackedFace(Face(landmarks), landmarks, self.transform, new=number == 0)

    def close(self) -> None:
        self.closed = True


class Brighten:
    """A library whose one attribute, `light`, makes the fake runtime's picture brighter."""

    def __init__(self, sizes: Sizes = TINY):
        self._shape = (sizes.n_codes, sizes.code_size)

    def offset(self, edits: Mapping[str, float], codes: Array) -> Array:
        return np.full(self._shape, 0.5 * edits.get("light", 0.0), np.float32)

    def effect(self, edits: Mapping[str, float], *, level: float = 1.0, gain: float = 1.0) -> EditEffect:
        shown = {name: strength * smooth(level) for name, strength in edits.items()}
        return EditEffect(shown, (lambda codes: np.float32(gain) * self.offset(shown, codes),))


class FaultyRuntime(FakeRuntime):
    """Breaks in the calls (counted from 0) it is told to: `raising` throws, `poisoned_*` give NaN or infinity."""

    def __init__(self) -> None:
        super().__init__()
        self.raising: set[int] = set()
        self.poisoned_codes: set[int] = set()
        self.poisoned_images: set[int] = set()

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        number = self.inverted
        codes, noise, after = super().invert(inputs, state)
        if number in self.raising:
            raise RuntimeError("the engine broke")
        if number in self.poisoned_codes:
            codes[0, 0, 0] = np.nan
        return codes, noise, after

    def synthesize(self, codes: Array, noise: Array) -> Array:
        number = len(self.batches)
        images = super().synthesize(codes, noise)
        if number in self.poisoned_images:
            images[-1, 0, 5, 5] = np.inf
        return images


EditOn = Callable[[Callable[[], AnyStream]], None]
"""What the fixture `edit_on` is."""


def make_stream(
    runtime: Runtime | None = None, tracker: FixedTracker | None = None, options: StreamOptions | None = None
) -> FaceStream:
    """A stream in this world."""
    return FaceStream(runtime or FakeRuntime(), tracker or FixedTracker(), Brighten(), options)


def memory_of(stream: FaceStream) -> RecurrentState:
    """What the networks of a stream would go on from in another one."""
    return state_from_bytes(stream.save(), stream.runtime.sizes).memory.recurrent
