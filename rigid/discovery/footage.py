"""Real clips through a stream, to see what an edit does in video: noise map, masks, composite and all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels
from rigid.discovery.labels import Labeller
from rigid.edits.edit_effect import EditLibrary
from rigid.face.alignment import TrackedFace, crop
from rigid.files.clips import Clip, Replay, Track, follow_throughout, read_frames
from rigid.models.contract import Runtime
from rigid.stream.face_stream import FaceStream, StreamOptions, Tracker
from rigid.stream.fading import AT_ONCE

RUN_UP = 4
"""Frames of a take: the last is looked at, when the stream has settled on the edit."""
LONGEST_CLIP = 300
"""Frames of a clip that takes are chosen from."""


@dataclass(frozen=True)
class Take:
    """A few neighbouring frames of a clip with the face in each."""

    frames: Sequence[Pixels]
    seconds: Sequence[float]
    faces: Sequence[TrackedFace]

    def align(self, frame: Pixels, size: int) -> Pixels:
        """Cut the last face's crop out of `frame`, RGB (size, size, 3)."""
        return crop(frame, self.faces[-1].transform, size)


def take_clips(clips: Sequence[Clip], make_tracker: Callable[[], Tracker], per_clip: int) -> Iterator[Take]:
    """`per_clip` takes of each clip, evenly; those in which the face is lost are left out."""
    for clip in clips:
        shots = list(read_frames(clip.path, LONGEST_CLIP))
        last = max(len(shots) - RUN_UP, 0)
        starts = {round((i + 0.5) / per_clip * last) for i in range(per_clip)}
        for start in sorted(starts):
            taken = shots[start : start + RUN_UP]
            faces = follow_throughout(taken, make_tracker)
            if faces:
                yield Take([frame for frame, _ in taken], [seconds for _, seconds in taken], faces)


def last_frame(take: Take, runtime: Runtime, library: EditLibrary, edits: Mapping[str, float]) -> Pixels:
    """The last frame of `take` as a stream shows it with `edits`; ArithmeticError when the stream could not edit it."""
    stream = FaceStream(runtime, Replay(Track(list(take.faces))), library, StreamOptions(fade=AT_ONCE))
    results = [stream.step(frame, edits, at) for frame, at in zip(take.frames, take.seconds, strict=True)]
    stream.close()
    if results[-1].error is not None:
        raise ArithmeticError(f"A frame could not be edited: {results[-1].error}")
    return results[-1].frame


@dataclass(frozen=True)
class Footage:
    """Takes, what streams them, and what the labeller sees in their real last faces (N, M)."""

    takes: Sequence[Take]
    runtime: Runtime
    labeller: Labeller
    measures: Array

    @classmethod
    def of(cls, takes: Sequence[Take], runtime: Runtime, labeller: Labeller) -> Footage:
        """`takes` looked at as they are."""
        size = runtime.sizes.image_size
        return cls(takes, runtime, labeller, labeller(np.stack([take.align(take.frames[-1], size) for take in takes])))

    def edit_faces(self, library: EditLibrary, edits: Mapping[str, float], chosen: NDArray[np.intp]) -> Pixels:
        """Edit the aligned last faces of the `chosen` takes with `edits`, RGB (n, S, S, 3)."""
        size = self.runtime.sizes.image_size
        takes = [self.takes[i] for i in chosen]
        return np.stack([take.align(last_frame(take, self.runtime, library, edits), size) for take in takes])

    def changes(self, library: EditLibrary, edits: Mapping[str, float], chosen: NDArray[np.intp]) -> Array:
        """Measure how `edits` change every measure of the `chosen` takes (n, M); NaN where no face is found after."""
        difference: Array = self.labeller(self.edit_faces(library, edits, chosen)) - self.measures[chosen]
        return difference
