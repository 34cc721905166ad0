"""The clips to measure: which of a folder, their frames, and where the face is in each."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rigid.arrays import Pixels
from rigid.face.alignment import TrackedFace
from rigid.files.film_formats import FORMATS
from rigid.files.video_reader import Picture, VideoReader
from rigid.stream.face_stream import Tracker

INDEX = "index.json"


@dataclass(frozen=True)
class Clip:
    """A video file; `name` is unique in its run."""

    name: str
    path: Path


def find_clips(folder: Path, split: str | None = None, names: Sequence[str] = ()) -> list[Clip]:
    """The videos in `folder`, sorted; with `split`, those that its `index.json` puts there; with `names`, only these.

    The index may lie in the folder or beside it, the videos in the folder or in its `clips`. ValueError, one
    sentence, when there is nothing to measure.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}; --videos takes a folder of videos.")
    clips = _videos(folder) or (_videos(folder / "clips") if (folder / "clips").is_dir() else [])
    if not clips:
        raise ValueError(f"There is no video in {folder}; put files ending in {', '.join(FORMATS)} there.")
    if split is not None:
        members = _members(folder, split)
        clips = [clip for clip in clips if clip.path.stem in members]
        if not clips:
            raise ValueError(f"No video in {folder} belongs to the split {split!r} of its {INDEX}.")
    for name in names:
        if name not in [clip.name for clip in clips]:
            raise ValueError(f"There is no clip {name!r}; choose from: {', '.join(clip.name for clip in clips)}.")
    return [clip for clip in clips if not names or clip.name in names]


def _videos(folder: Path) -> list[Clip]:
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in FORMATS)
    stems = [path.stem for path in paths]
    return [Clip(path.stem if stems.count(path.stem) == 1 else path.name, path) for path in paths]


def _members(folder: Path, split: str) -> set[str]:
    path = next((place / INDEX for place in (folder, folder.parent) if (place / INDEX).is_file()), None)
    if path is None:
        raise ValueError(f"There is no {INDEX} in {folder} to say what {split!r} is; leave --split out to take all.")
    try:
        clips = json.loads(path.read_text("utf-8"))["clips"]
        splits = {str(clip["name"]): str(clip["split"]) for clip in clips}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is not an index of clips: {{"clips": [{{"name", "split"}}]}} is expected.') from error
    if split not in splits.values():
        raise ValueError(f"{path} has no split {split!r}; it has: {', '.join(sorted(set(splits.values())))}.")
    return {name for name, of in splits.items() if of == split}


def read_frames(path: Path, limit: int | None = None) -> Iterator[tuple[Pixels, float]]:
    """The first `limit` frames, or all, RGB (H, W, 3) uint8, and when each is shown, seconds from the first one on."""
    with VideoReader(path) as reader:
        origin: int | None = None
        count = 0
        for item in reader:
            if not isinstance(item, Picture):
                continue
            origin = item.pts if origin is None else origin
            yield item.image, float((item.pts - origin) * reader.time_base)
            count += 1
            if count == limit:
                return


@dataclass
class Track:
    """Where the face is in each frame of a clip; found once, so that every method works on the same crops."""

    faces: list[TrackedFace | None] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def face_frames(self) -> int:
        """How many frames show a face."""
        return sum(face is not None for face in self.faces)

    @property
    def pairs(self) -> int:
        """How many neighbouring frames both show it."""
        return sum(a is not None and b is not None for a, b in zip(self.faces, self.faces[1:], strict=False))

    @property
    def typical_ms(self) -> float:
        """What finding the face takes, a median."""
        return statistics.median(self.milliseconds)


def track_clip(clip: Clip, tracker: Tracker, limit: int) -> Track:
    """Follow the face through the clip's first `limit` frames; VideoError when they cannot be read."""
    track = Track()
    for frame, seconds in read_frames(clip.path, limit):
        start = time.perf_counter()
        track.faces.append(tracker.track(frame, seconds))
        track.milliseconds.append((time.perf_counter() - start) * 1e3)
    return track


class GroupTracker(Protocol):
    """Finds several faces; `rigid.face.group_tracker.GroupTracker` is one."""

    def track(self, frame: Pixels, timestamp: float) -> Mapping[int, TrackedFace]:
        """The faces in `frame`, uint8 RGB (H, W, 3), at `timestamp` seconds, by number."""

    def close(self) -> None:
        """Free what it holds."""


def track_faces(clip: Clip, tracker: GroupTracker, limit: int) -> dict[int, Track]:
    """Follow every face through the clip's first `limit` frames, by number; VideoError when they cannot be read."""
    tracks: dict[int, Track] = {}
    for index, (frame, seconds) in enumerate(read_frames(clip.path, limit)):
        start = time.perf_counter()
        found = tracker.track(frame, seconds)
        took = (time.perf_counter() - start) * 1e3
        for number in found:
            tracks.setdefault(number, Track([None] * index, [0.0] * index))
        for number, track in tracks.items():
            track.faces.append(found.get(number))
            track.milliseconds.append(took)
    return tracks


def follow_throughout(
    shots: Sequence[tuple[Pixels, float]], make_tracker: Callable[[], Tracker]
) -> list[TrackedFace] | None:
    """The face in each of `shots`, frames and the seconds they are shown at; None where it is lost in any."""
    tracker = make_tracker()
    try:
        faces = [tracker.track(frame, seconds) for frame, seconds in shots]
    finally:
        tracker.close()
    found = [face for face in faces if face is not None]
    return found if len(found) == len(shots) else None


class Replay:
    """A tracker that says again what was found before, frame by frame."""

    def __init__(self, track: Track) -> None:
        self._faces = iter(track.faces)

    def track(self, frame: Pixels, timestamp: float) -> TrackedFace | None:
        """The next frame's face."""
        return next(self._faces)

    def close(self) -> None:
        """Nothing is held."""
