"""Before and after, side by side: a few frames of a clip, a row for the source and two for each method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from rigid.arrays import Pixels
from rigid.files.clips import Track
from rigid.geometry import apply, corners, inverse, resample

VIDEOS = ("source", "inverted", "edited")
"""The three videos of a clip under a method: as it came, inverted, and edited."""
STRIP_FRAMES = 8
STRIP_SIDE = 192
CAPTION = 26
"""Height of the line of text above a row, pixels."""


@dataclass(frozen=True)
class Rows:
    """The chosen frames side by side, each row (STRIP_SIDE, STRIP_SIDE · columns, 3)."""

    source: Pixels
    inverted: Pixels
    edited: Pixels


class FaceWindow:
    """The smallest upright square that holds every aligned crop of a clip."""

    def __init__(self, track: Track, crop_size: int) -> None:
        """`track` shows a face at least once; `crop_size`: side of its crops, pixels."""
        square = corners(crop_size, crop_size)
        quads = np.concatenate([apply(inverse(face.transform), square) for face in track.faces if face is not None])
        low, high = quads.min(0), quads.max(0)
        self._side = float((high - low).max())
        self._corner = (low + high - self._side) / 2

    def show(self, frame: Pixels, size: int) -> Pixels:
        """What the window shows of `frame` (H, W, 3), as (size, size, 3)."""
        scale = size / self._side
        return resample(frame, np.column_stack((np.eye(2) * scale, -self._corner * scale)), (size, size))


@dataclass
class StripMaker:
    """Collects the pictures of a clip's strip while its frames go by."""

    track: Track
    window: FaceWindow
    _pictures: list[tuple[Pixels, Pixels, Pixels]] = field(default_factory=list)

    def __post_init__(self) -> None:
        with_face = [i for i, face in enumerate(self.track.faces) if face is not None]
        places = np.linspace(0, len(with_face) - 1, min(STRIP_FRAMES, len(with_face))).round().astype(int)
        self._chosen = {with_face[place] for place in places}

    def take(self, index: int, source: Pixels, inverted: Pixels, edited: Pixels) -> None:
        """Frame `index`, three times."""
        if index in self._chosen:
            shown = (self.window.show(frame, STRIP_SIDE) for frame in (source, inverted, edited))
            self._pictures.append((next(shown), next(shown), next(shown)))

    def rows(self) -> Rows:
        """What was collected, at least one frame."""
        return Rows(*(np.hstack(pictures) for pictures in zip(*self._pictures, strict=True)))


def strip(rows: Mapping[str, Rows]) -> Pixels:
    """Draw one picture of a clip from the rows of its methods by name; the source comes from the first."""
    first = next(iter(rows.values()))
    parts = [_caption("source", first.source)]
    for method, row in rows.items():
        parts += [_caption(f"{method}: inverted", row.inverted), _caption(f"{method}: edited", row.edited)]
    width = max(part.shape[1] for part in parts)
    return np.vstack([np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0))) for part in parts])


def _caption(text: str, row: Pixels) -> Pixels:
    line = np.full((CAPTION, row.shape[1], 3), 255, np.uint8)
    cv2.putText(line, text, (6, CAPTION - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([line, row])
