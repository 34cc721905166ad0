"""A few frames of a clip under one edit: what the stream delivers, the signs of faults in it, and a picture of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np

from rigid.arrays import Array, Pixels, Region
from rigid.composite.compositor import CompositeKind
from rigid.edits.edit_effect import EditEffect, EditLibrary
from rigid.evaluation import fault_signs
from rigid.evaluation.face_regions import FACE_REGIONS, face_regions
from rigid.evaluation.fault_signs import Faces, Signs
from rigid.evaluation.measure import EvaluationError
from rigid.evaluation.metrics import mean
from rigid.evaluation.warp_error import Motion, MotionEstimator
from rigid.face.alignment import TrackedFace, crop
from rigid.fields import from_pixels
from rigid.files.clips import Clip, Replay, Track, follow_throughout, read_frames
from rigid.geometry import resample
from rigid.models.contract import Runtime
from rigid.stream.face_stream import FaceStream, StepResult, StreamOptions, Tracker
from rigid.stream.fading import AT_ONCE

LONGEST_CLIP = 300
"""Frames of a clip from whose middle those of a take are taken."""
GREY = 128
"""What a cell shows beyond the frame's border."""
LEAST_PIXELS = 200
"""Pixels that a region must have for its flicker to be told."""


class Unusable(Exception):
    """A clip shows no face that could be measured; the text says what is missing."""


@dataclass(frozen=True)
class Take:
    """Neighbouring frames of a clip, a face in each, and what every edit of them is compared with."""

    name: str
    frames: list[Pixels]
    seconds: list[float]
    faces: list[TrackedFace]
    size: int
    """Side of the aligned crops."""

    def crops(self, frames: list[Pixels]) -> list[Pixels]:
        """The aligned face of each of `frames`."""
        return [crop(frame, face.transform, self.size) for frame, face in zip(frames, self.faces, strict=True)]

    @cached_property
    def real(self) -> list[Pixels]:
        """The aligned real faces."""
        return self.crops(self.frames)

    @cached_property
    def regions(self) -> list[dict[str, Region]]:
        """The regions of every face."""
        return [face_regions(face.landmarks_in_crop, self.size) for face in self.faces]

    @cached_property
    def motions(self) -> list[Motion]:
        """What moved from each frame to the next."""
        return list(map(MotionEstimator(), self.frames, self.frames[1:]))

    @cached_property
    def crop_motions(self) -> list[Motion]:
        """What moved from each aligned face to the next."""
        return list(map(MotionEstimator(), self.real, self.real[1:]))

    @cached_property
    def own_by_region(self) -> list[dict[str, float]]:
        """The warp error of every aligned real face after the first, by region."""
        return _by_region(self, self.real)

    @cached_property
    def own_errors(self) -> list[float]:
        """The warp error of every frame after the first."""
        return _errors(self.motions, self.frames)


@dataclass(frozen=True)
class Cell:
    """A take under an edit."""

    signs: Signs
    warp_ratio: float
    """The warp error of the delivered frames over that of the source's; NaN where it cannot be told."""
    before: Pixels
    after: Pixels
    """The last aligned face, real and delivered, grey beyond the frame's border."""
    inverted: Array | None
    """O of that face, (S, S, 3) in [-1, 1]; None where nothing was generated."""
    landmarks: Array
    """The landmarks of that face, (478, 2) in its pixels."""
    delivered: list[Pixels]
    """All frames as they were delivered."""


def take_from(clip: Clip, make_tracker: Callable[[], Tracker], count: int, size: int) -> Take | None:
    """`count` frames round the middle of the clip's first `LONGEST_CLIP`; None where a face is lost in them.

    VideoError when the clip cannot be read.
    """
    shots = list(read_frames(clip.path, LONGEST_CLIP))
    start = max(0, (len(shots) - count) // 2)
    return take_of(clip.name, shots[start : start + count], make_tracker, size)


def take_of(
    name: str, shots: Sequence[tuple[Pixels, float]], make_tracker: Callable[[], Tracker], size: int
) -> Take | None:
    """`shots`, frames and the seconds they are shown at, as a take; None where a face is lost in them."""
    faces = follow_throughout(shots, make_tracker)
    if faces is None or len(faces) < 2:
        return None
    return Take(name, [frame for frame, _ in shots], [at for _, at in shots], faces, size)


def make_cell(
    take: Take,
    runtime: Runtime,
    library: EditLibrary,
    edits: Mapping[str, float],
    composite: CompositeKind,
    every: int = 1,
) -> Cell:
    """`take` as a stream shows it with `edits`; seams, edges and shares are looked for in every `every`-th frame.

    EvaluationError when a frame could not be edited.
    """
    results = _stream(take, runtime, library, edits, composite)
    delivered = [result.frame for result in results]
    crops = take.crops(delivered)
    looks = _look_closely(take, results, crops, library.effect(edits, gain=runtime.sizes.edit_gain), every)
    signs = fault_signs.join([*looks, Signs(math.nan, math.nan, {}, _flickers(take, crops))])
    ratio = mean(_errors(take.motions, delivered)) / (mean(take.own_errors) or math.nan)
    last, face = results[-1].faces, take.faces[-1]
    inverted = None if last is None else last.inverted
    before, after = (grey_beyond(take.frames[-1], face, shown) for shown in (take.real[-1], crops[-1]))
    return Cell(signs, ratio, before, after, inverted, face.landmarks_in_crop, delivered)


def grey_beyond(frame: Pixels, face: TrackedFace, aligned: Pixels) -> Pixels:
    """The `aligned` picture (S, S, 3) of a face in `frame`, grey where the frame does not reach.

    There a crop is reflected, and a second mouth may be in it that nobody was shown.
    """
    size = len(aligned)
    inside = resample(np.full(frame.shape[:2], 255, np.uint8), face.transform, (size, size), cv2.BORDER_CONSTANT)
    shown: Pixels = np.where(inside[..., None] < 128, np.uint8(GREY), aligned)
    return shown


def _stream(
    take: Take, runtime: Runtime, library: EditLibrary, edits: Mapping[str, float], composite: CompositeKind
) -> list[StepResult]:
    stream = FaceStream(runtime, Replay(Track(list(take.faces))), library, StreamOptions(composite, AT_ONCE))
    try:
        results = [stream.step(frame, edits, at) for frame, at in zip(take.frames, take.seconds, strict=True)]
    finally:
        stream.close()
    failed = next((result.error for result in results if result.error is not None), None)
    if failed is not None:
        raise EvaluationError(f"{take.name} could not be edited: {failed}.")
    return results


def _look_closely(
    take: Take, results: Sequence[StepResult], crops: Sequence[Pixels], effect: EditEffect, every: int
) -> Iterator[Signs]:
    """The signs of every `every`-th frame, the last one among them."""
    if effect.motion is not None:
        return  # the edges of I and E lie elsewhere than those of y, and tell nothing
    wanted = find_edited_regions(effect)
    for i in range(len(results) - 1, -1, -every):
        seen = results[i].faces
        if seen is not None:
            faces = Faces(seen.real, seen.inverted, seen.edited, from_pixels(crops[i]))
            yield _look(faces, {name: take.regions[i][name] for name in wanted})


def find_edited_regions(effect: EditEffect) -> list[str]:
    """The regions that edits are for: the face, the hair, or both."""
    return [*(FACE_REGIONS if effect.face > 0 else ()), *(["hair"] if effect.hair > 0 else [])]


def _look(faces: Faces, regions: Mapping[str, Region]) -> Signs:
    return Signs(
        fault_signs.seam(faces), fault_signs.double_edges(faces), fault_signs.shares(faces, regions), flickers={}
    )


def _flickers(take: Take, crops: list[Pixels]) -> dict[str, float]:
    """The mean of each region over neighbours of the warp error over the source's."""
    found: dict[str, list[float]] = {}
    for errors, own in zip(_by_region(take, crops), take.own_by_region, strict=True):
        for name, error in errors.items():
            found.setdefault(name, []).append(fault_signs.flickers(error, own[name]))
    return {name: mean(values) for name, values in found.items()}


def _by_region(take: Take, crops: list[Pixels]) -> list[dict[str, float]]:
    """The warp error of every aligned face after the first, in each region that enough is seen of."""
    least = LEAST_PIXELS * (take.size / 256) ** 2
    found = []
    for motion, regions, (a, b) in zip(take.crop_motions, take.regions[1:], pairwise(crops), strict=True):
        differences = motion.differences(a, b)
        seen = {name: region & motion.visible for name, region in regions.items()}
        found.append(
            {name: float(differences[where].mean()) for name, where in seen.items() if np.count_nonzero(where) >= least}
        )
    return found


def _errors(motions: list[Motion], frames: list[Pixels]) -> list[float]:
    return [motion.error(a, b) for motion, (a, b) in zip(motions, pairwise(frames), strict=True)]
