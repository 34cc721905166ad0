"""Episodes of real clips, cut by the aligner that live video goes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np

from rigid.arrays import Pixels
from rigid.face.alignment import TrackedFace, crop
from rigid.face.masks import feather, oval_mask
from rigid.geometry import apply, corners, inverse, resample
from rigid.reporting import Say
from rigid.training.episodes import Episode
from rigid.training.faces import read_index, read_video
from rigid.training.flow import FlowEstimator
from rigid.training.framing import Cut, assemble, render_mask
from rigid.training.warping import placement


class Tracker(Protocol):
    """Finds the face of a clip, frame by frame; `rigid.face.alignment.FaceTracker` is one."""

    def track(self, frame: Pixels, timestamp: float) -> TrackedFace | None:
        """The face in `frame`, uint8 RGB (H, W, 3), at `timestamp` seconds; None without one."""

    def reset(self) -> None:
        """Forget the face: another clip begins."""


def clip_episodes(
    data: Path, split: str, cut: Cut, tracker: Tracker, estimate: FlowEstimator, say: Say
) -> Iterator[Episode]:
    """The episodes of the clips of `split` in the data folder `data`.

    ValueError for a clip shorter than an episode, and where no clip shows a face for that long.
    """
    found = 0
    for clip in (clip for clip in read_index(data)["clips"] if clip["split"] == split):
        path = data / "clips" / f"{clip['name']}.mp4"
        frames = read_video(path)
        if len(frames) < cut.frames:
            raise ValueError(
                f"{path} has {len(frames)} frames, but an episode takes {cut.frames}; leave it out of index.json."
            )
        faces = follow(frames, float(clip.get("fps", 25)), tracker)
        starts = choose_starts(faces, cut.frames, cut.per_clip)
        say(f"{clip['name']}: {len(starts)} episodes of {len(frames)} frames")
        found += len(starts)
        for start in starts:
            chosen = slice(start, start + cut.frames)
            sighted = [face for face in faces[chosen] if face is not None]
            yield cut_episode(clip["name"], frames[chosen], sighted, cut, estimate)
    if not found:
        raise ValueError(
            f"No clip of the split {split!r} in {data} shows a face for {cut.frames} frames on end; add one that does."
        )


def follow(frames: Sequence[Pixels], fps: float, tracker: Tracker) -> list[TrackedFace | None]:
    """The face in each of `frames`."""
    tracker.reset()
    return [tracker.track(frame, i / fps) for i, frame in enumerate(frames)]


def choose_starts(faces: Sequence[TrackedFace | None], length: int, count: int) -> list[int]:
    """First frames of at most `count` episodes of one face on end, spread evenly, overlapping as little as may be."""
    runs: list[list[int]] = []
    marks = [(face is None, sum(f is not None and f.new for f in faces[: i + 1])) for i, face in enumerate(faces)]
    for (missing, _), run in groupby(range(len(faces)), key=lambda i: marks[i]):
        indices = list(run)
        if not missing and len(indices) >= length:
            runs.append(indices[: len(indices) - length + 1])
    possible = [start for run in runs for start in run]
    chosen = np.linspace(0, len(possible) - 1, min(count, len(possible))).round().astype(int)
    return [possible[i] for i in chosen]


def cut_episode(
    name: str, frames: Sequence[Pixels], faces: Sequence[TrackedFace], cut: Cut, estimate: FlowEstimator
) -> Episode:
    """An episode of `frames` (H, W, 3), in which `faces` were found: one window holds all their crops."""
    quads = np.concatenate([apply(inverse(face.transform), corners(cut.crop_size, cut.crop_size)) for face in faces])
    low, high = quads.min(0), quads.max(0)
    side = float((high - low).max())
    corner = (low + high - side) / 2
    scale = cut.window_size / side
    to_window = np.column_stack((np.eye(2) * scale, -corner * scale))
    size = (cut.window_size, cut.window_size)
    windows = [resample(frame, to_window, size) for frame in frames]
    masks = [feather(oval_mask(face.landmarks_in_crop, cut.crop_size)) for face in faces]
    placements = [placement(face.transform, cut.crop_size, corner, side) for face in faces]
    return assemble(
        name,
        np.stack([crop(frame, face.transform, cut.crop_size) for frame, face in zip(frames, faces, strict=True)]),
        np.stack(windows),
        np.stack([render_mask(mask, p, cut.window_size) for mask, p in zip(masks, placements, strict=True)]),
        np.stack(placements),
        estimate,
        cut.code_size,
    )
