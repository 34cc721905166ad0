"""Who has which number in a film or an image: a picture of every face, at the moment when it is largest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from rigid.arrays import Pixels
from rigid.atomic_files import check_folder, replacing
from rigid.face.alignment import crop
from rigid.face.faces import Box
from rigid.face.group_tracker import FaceChoice, open_group_tracker
from rigid.files.clips import read_frames
from rigid.files.edit_image import time_pictures
from rigid.files.image_formats import is_image
from rigid.files.image_reading import read_images

SIDE = 256
"""Pixels of each face in the picture."""
COLUMNS = 4
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class ListedFace:
    """One face of a file."""

    number: int
    first: float
    """When it is first seen, seconds from the beginning; so are `last`, and `at`, when it is largest."""
    last: float
    at: float
    frames: int
    """In how many it is."""
    box: Box
    """Where it is when it is largest, pixels."""
    portrait: Pixels
    """Its aligned crop then, (256, 256, 3)."""


def find_faces(source: Path, model: Path, choice: FaceChoice) -> list[ListedFace]:
    """All the faces of a film or an image by their numbers, which are those that an edit of it would use.

    `model`: face_landmarker.task. ValueError where the file cannot be read.
    """
    tracker = open_group_tracker(model, SIDE, choice)
    listed: dict[int, ListedFace] = {}
    try:
        for frame, seconds in _frames(source):
            for number, tracked in tracker.track(frame, seconds).items():
                box, known = tracked.face.box, listed.get(number)
                if known is None or _size(box) > _size(known.box):
                    portrait = crop(frame, tracked.transform, SIDE)
                    first, frames = (seconds, 0) if known is None else (known.first, known.frames)
                    known = ListedFace(number, first, seconds, seconds, frames, box, portrait)
                listed[number] = replace(known, last=seconds, frames=known.frames + 1)
    finally:
        tracker.close()
    return [listed[number] for number in sorted(listed)]


def check_face_list(target: Path) -> None:
    """ValueError where no picture can be written to `target`."""
    check_folder(target)
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"The picture {target.name} must end in one of: {', '.join(SUFFIXES)}.")


def write_face_list(target: Path, faces: list[ListedFace]) -> None:
    """Write the `faces` beside each other, each with its number, to a name that `check_face_list` takes."""
    columns = min(COLUMNS, len(faces))
    sheet = np.zeros((math.ceil(len(faces) / columns) * SIDE, columns * SIDE, 3), np.uint8)
    for place, face in enumerate(faces):
        top, left = (SIDE * part for part in divmod(place, columns))
        sheet[top : top + SIDE, left : left + SIDE] = _number(face)
    done, data = cv2.imencode(target.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    assert done
    with replacing(target) as part:
        part.write_bytes(data.tobytes())


def _number(face: ListedFace) -> Pixels:
    """The portrait with the number in its corner."""
    shown, text = face.portrait.copy(), str(face.number)
    for colour, width in (((0, 0, 0), 8), ((255, 255, 255), 2)):
        cv2.putText(shown, text, (12, 44), cv2.FONT_HERSHEY_SIMPLEX, 1.4, colour, width, cv2.LINE_AA)
    return shown


def _size(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _frames(source: Path) -> Iterator[tuple[Pixels, float]]:
    """The pictures of a file as a stream would see them, with their times."""
    return time_pictures(read_images(source)) if is_image(source) else read_frames(source)
