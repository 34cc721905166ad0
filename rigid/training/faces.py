"""Real aligned faces: the clips and stills of a data folder, by the split its index states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rigid.arrays import Pixels


@dataclass(frozen=True)
class Faces:
    """Aligned faces: `images` (N, 3, 256, 256) RGB uint8, and the clip or still each comes from."""

    images: Pixels
    names: list[str]

    def of(self, name: str) -> Pixels:
        """The images of one clip or still."""
        return self.images[[i for i, other in enumerate(self.names) if other == name]]


def load_or_read_faces(kept: Path, folder: Path, split: str, *, clip_frames: int, stills: bool = True) -> Faces:
    """`read_faces`, decoded once and then taken from the file `kept`."""
    if not kept.exists():
        faces = read_faces(folder, split, clip_frames=clip_frames, stills=stills)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, images=faces.images, names=np.array(faces.names))
    with np.load(kept) as stored:
        return Faces(stored["images"], stored["names"].tolist())


def read_faces(folder: Path, split: str, *, clip_frames: int, stills: bool = True) -> Faces:
    """Read at most `clip_frames` frames, evenly spread, of each clip of `split`, and its stills.

    Raises ValueError when `folder` holds no `index.json`.
    """
    index = read_index(folder)
    images: list[Pixels] = []
    names: list[str] = []
    for name, faces in read_aligned(folder, split):
        frames = _choose_evenly(faces, clip_frames)
        images += frames
        names += [name] * len(frames)
    for still in (still for still in index["stills"] if stills and still["split"] == split):
        images.append(_read_still(folder / "stills" / f"{still['name']}.jpg"))
        names.append(still["name"])
    return Faces(np.stack(images).transpose(0, 3, 1, 2), names)


def read_index(folder: Path) -> dict[str, Any]:
    """The `index.json` of a data folder; ValueError when there is none."""
    path = folder / "index.json"
    if not path.is_file():
        raise ValueError(f"{folder} holds no index.json; --data must name a folder of aligned faces.")
    index: dict[str, Any] = json.loads(path.read_text())
    return index


def read_stills(folder: Path, split: str) -> list[tuple[str, Pixels]]:
    """The stills of `split` by name, RGB (256, 256, 3)."""
    stills = [still["name"] for still in read_index(folder)["stills"] if still["split"] == split]
    return [(name, _read_still(folder / "stills" / f"{name}.jpg")) for name in stills]


def read_aligned(folder: Path, split: str) -> Iterator[tuple[str, list[Pixels]]]:
    """The aligned faces of each clip of `split`, by its name, RGB (S, S, 3)."""
    for clip in (clip for clip in read_index(folder)["clips"] if clip["split"] == split):
        yield clip["name"], read_video(folder / "aligned" / f"{clip['name']}.mp4")


def read_video(path: Path) -> list[Pixels]:
    """The frames of a clip, RGB (H, W, 3)."""
    try:
        from rigid.files.video_reader import Picture, VideoReader
    except ModuleNotFoundError:
        # A machine that only trains may be without PyAV.
        return list(_decode_by_opencv(path))
    with VideoReader(path) as reader:
        return [item.image for item in reader if isinstance(item, Picture)]


def _decode_by_opencv(path: Path) -> Iterator[Pixels]:
    """The frames of a clip, RGB (H, W, 3), in colours that are about right; ValueError where it cannot be read."""
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise ValueError(f"{path} cannot be read as a video.")
    while True:
        read, frame = capture.read()
        if not read:
            return
        yield np.asarray(frame[..., ::-1], np.uint8)


def _choose_evenly(frames: list[Pixels], count: int) -> list[Pixels]:
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[i] for i in chosen]


def _read_still(path: Path) -> Pixels:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path} cannot be read as a picture.")
    return np.asarray(picture[..., ::-1], np.uint8)
