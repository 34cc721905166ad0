"""One clip under one method: every frame goes through the stream, and everything is measured on the way."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from rigid.arrays import Array, Pixels
from rigid.composite.compositor import Faces
from rigid.composite.paste import Composite, paste
from rigid.discovery.labels import Labeller
from rigid.evaluation import metrics
from rigid.evaluation.fvd import I3D, PICTURE_SIZE, Features
from rigid.evaluation.methods import Prepared
from rigid.evaluation.strength import changes
from rigid.evaluation.strips import VIDEOS, FaceWindow, Rows, StripMaker
from rigid.evaluation.warp_error import MotionEstimator, crop_area
from rigid.face.alignment import TrackedFace, crop
from rigid.face.identity import Embedder, Embedding
from rigid.face.masks import feather, oval_mask
from rigid.files.clips import Clip, Replay, Track, read_frames
from rigid.reporting import CountDone
from rigid.stream.face_stream import FaceStream

MEASURES = (
    "mse",
    "lpips",
    "warp_error",
    "warp_error_source",
    "warp_error_edited",
    "warp_ratio",
    "warp_ratio_edited",
    "warp_error_face",
    "warp_error_face_source",
    "warp_error_face_edited",
    "tl_id",
    "tg_id",
    "id_source_edited",
    "edit_strength",
    "ms_per_frame",
)
"""What a clip and a method's mean have; docs/evaluation.md says what each is."""


class EvaluationError(Exception):
    """A clip cannot be measured; the text is one sentence for the user."""


@dataclass(frozen=True)
class Meters:
    """What measures; each may be stood in for."""

    lpips: nn.Module
    """Distance of two batches of faces."""
    embedder: Embedder
    labeller: Labeller
    i3d: I3D | None = None


@dataclass
class Source:
    """A clip and what was measured of it alone, which holds for every method."""

    clip: Clip
    track: Track
    embeddings: dict[int, Embedding] = field(default_factory=dict)
    labels: dict[int, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A clip under a method."""

    means: dict[str, float]
    """NaN for what could not be measured."""
    strengths: dict[str, float]
    """The amount by which each attribute changed, in its measure's unit."""
    frames: dict[str, dict[int, float]]
    """Each measure that has a value a frame, by frame number."""
    rows: Rows
    features: dict[str, Features]
    """I3D features of the videos source, inverted and edited; empty without I3D."""


def measure_clip(
    source: Source,
    prepared: Prepared,
    edits: Mapping[str, float],
    meters: Meters,
    every: int = 1,
    progress: CountDone = lambda done: None,
) -> Measured:
    """Put the clip through the method. `every`: LPIPS, identity and edit strength are taken of every so many frames.

    `progress` takes the frames done. EvaluationError when a frame fails.
    """
    stream = FaceStream(prepared.runtime, Replay(source.track), prepared.offsets, prepared.look)
    taker = _Taker(source, edits, meters, every, prepared.runtime.sizes.image_size)
    for index, (frame, seconds) in enumerate(read_frames(source.clip.path, len(source.track.faces))):
        start = time.perf_counter()
        result = stream.step(frame, edits, seconds)
        elapsed = (time.perf_counter() - start) * 1e3
        if result.error is not None:
            raise EvaluationError(f"Frame {index + 1} of {source.clip.name} could not be edited: {result.error}.")
        face = source.track.faces[index]
        if face is not None and result.faces is not None:
            taker.take(index, frame, result.frame, face, result.faces)
            taker.step_ms.append(elapsed)
        progress(index + 1)
    return taker.result(prepared.seconds)


class _Taker:
    """Takes the measures of one clip, frame by frame."""

    def __init__(self, source: Source, edits: Mapping[str, float], meters: Meters, every: int, size: int) -> None:
        self.step_ms: list[float] = []
        self._size = size
        self._source, self._edits, self._meters, self._every = source, edits, meters, every
        self._motion = MotionEstimator()
        self._window = FaceWindow(source.track, size)
        self._strips = StripMaker(source.track, self._window)
        self._frames: dict[str, dict[int, float]] = {}
        self._embeddings: dict[int, Embedding] = {}
        self._changes: dict[int, dict[str, float]] = {}
        self._videos: dict[str, list[Pixels]] = {name: [] for name in VIDEOS}
        self._last: tuple[int, dict[str, Pixels]] | None = None

    def take(self, index: int, frame: Pixels, edited: Pixels, face: TrackedFace, seen: Faces) -> None:
        """Frame `index`: as it came, as it was delivered, and the aligned faces behind it."""
        inverted = unalign(frame, face, seen.inverted)
        shown = dict(zip(VIDEOS, (frame, inverted, edited), strict=True))
        self._note("mse", index, metrics.mean_squared_error(seen.real, seen.inverted))
        self._take_warp(index, shown, face)
        # TL-ID compares neighbours: the frame after each chosen one is embedded, too
        if index % self._every in (0, 1):
            self._take_identity(index, frame, edited, face)
        if index % self._every == 0:
            self._note("lpips", index, metrics.lpips_distance(self._meters.lpips, seen.real, seen.inverted))
            self._take_strength(index, frame, edited, face)
        if self._meters.i3d is not None:
            for name, video in self._videos.items():
                video.append(self._window.show(shown[name], PICTURE_SIZE))
        self._strips.take(index, frame, inverted, edited)

    def result(self, prepared_seconds: float) -> Measured:
        """All measures of the clip."""
        frames, track, source = self._frames, self._source.track, self._source.embeddings
        means = dict.fromkeys(MEASURES, math.nan)
        means |= {name: metrics.mean(values.values()) for name, values in frames.items()}
        for kind in ("", "_edited"):
            means[f"warp_ratio{kind}"] = means[f"warp_error{kind}"] / (means["warp_error_source"] or math.nan)
        chosen = range(0, len(track.faces), self._every)
        means["tl_id"] = metrics.tl_id(self._embeddings, source)
        means["tg_id"] = metrics.tg_id(self._embeddings, source, chosen)
        means["id_source_edited"] = metrics.measure_paired_similarity(self._embeddings, source)
        strengths = {name: metrics.mean(change[name] for change in self._changes.values()) for name in self._edits}
        means["edit_strength"] = next(iter(strengths.values()))
        preparing = prepared_seconds * 1e3 / track.face_frames
        means["ms_per_frame"] = track.typical_ms + statistics.median(self.step_ms) + preparing
        return Measured(means, strengths, frames, self._strips.rows(), self._features())

    def _note(self, name: str, index: int, value: float) -> None:
        self._frames.setdefault(name, {})[index] = value

    def _take_warp(self, index: int, shown: dict[str, Pixels], face: TrackedFace) -> None:
        last, self._last = self._last, (index, shown)
        frame_shape = shown["source"].shape
        if last is None or last[0] != index - 1 or last[1]["source"].shape != frame_shape:
            return
        motion = self._motion(last[1]["source"], shown["source"])
        inside = crop_area(face.transform, self._size, frame_shape)
        for name in VIDEOS:
            kind = "" if name == "inverted" else f"_{name}"
            self._note(f"warp_error{kind}", index, motion.error(last[1][name], shown[name]))
            self._note(f"warp_error_face{kind}", index, motion.error(last[1][name], shown[name], inside))

    def _take_identity(self, index: int, frame: Pixels, edited: Pixels, face: TrackedFace) -> None:
        known = self._source.embeddings
        if index not in known:
            known[index] = self._meters.embedder(frame, face.landmarks)
        self._embeddings[index] = self._meters.embedder(edited, face.landmarks)
        self._note("id_source_edited", index, float(self._embeddings[index] @ known[index]))

    def _take_strength(self, index: int, frame: Pixels, edited: Pixels, face: TrackedFace) -> None:
        known, labeller = self._source.labels, self._meters.labeller
        if index not in known:
            known[index] = labeller(crop(frame, face.transform, self._size)[None])[0]
        after = labeller(crop(edited, face.transform, self._size)[None])[0]
        self._changes[index] = changes(known[index], after, self._edits, labeller.measures)
        self._note("edit_strength", index, next(iter(self._changes[index].values())))

    def _features(self) -> dict[str, Features]:
        i3d = self._meters.i3d
        if i3d is None:
            return {}
        return {name: i3d(np.stack(video)) for name, video in self._videos.items() if video}


def unalign(frame: Pixels, face: TrackedFace, aligned: Array) -> Pixels:
    """Eq. 6: the aligned face (S, S, 3) in [-1, 1] in its place in `frame`, blended by the face's feathered mask."""
    mask = feather(oval_mask(face.landmarks_in_crop, len(aligned)))
    return paste(frame, Composite.of(aligned, mask), face.transform)
