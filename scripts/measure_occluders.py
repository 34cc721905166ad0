"""How much an edit changes of what lies before a face: `python -m scripts.measure_occluders --data DATA`.

Hands, cups and microphones, drawn ones, cross the faces of the validation clips, as they are streamed with an edit of
the mouth. Prints, as JSON, the share of their places that the stream changes by more than `SEEN`, by thing.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines import load_runtime
from rigid.arrays import Pixels, Region
from rigid.assets.store import AssetStore
from rigid.edits.library import load_library
from rigid.evaluation.cells import Take, make_cell, take_from
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.files.clips import find_clips
from rigid.files.image_writing import write_image
from rigid.geometry import inverse
from scripts.measure_parser import THINGS, moving

SEEN = 10
"""Of 255: a change that is seen."""
COVERED = 0.5
"""How far a place is covered from which on it is the thing's."""
FRAMES = 12
EDITS = {"smile": 1.0}


def main() -> None:
    """See the module."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder with clips and an index.json")
    arguments.add_argument("--threads", type=int, help="of the networks")
    arguments.add_argument("--sheet", type=Path, help="PNG file to draw the last frames to, before and after")
    given = arguments.parse_args()
    store = AssetStore()
    runtime = load_runtime("mobile-256", "openvino", store=store, threads=given.threads)
    library, size = load_library("mobile-256"), runtime.sizes.image_size
    model = store.file("face-landmarks", "face_landmarker.task")

    def make_tracker() -> FaceTracker:
        return FaceTracker(FaceLandmarker(model), size)

    clips = find_clips(given.data / "clips", "val")
    takes = [take for clip in clips if (take := take_from(clip, make_tracker, FRAMES, size)) is not None]
    shares, rows = {}, []
    for thing in THINGS:
        changed = places = 0
        for seed, take in enumerate(takes):
            covered, where = cover(take, thing, seed)
            cell = make_cell(covered, runtime, library, EDITS, "change", FRAMES)
            seen = [find_change(*pictures) for pictures in zip(covered.real, take.crops(cell.delivered), strict=True)]
            changed += sum(int((change & place).sum()) for change, place in zip(seen, where, strict=True))
            places += sum(int(place.sum()) for place in where)
            rows.append(np.hstack((cell.before, cell.after, mark(cell.after, seen[-1] & where[-1]))))
        shares[thing] = round(changed / max(places, 1), 4)
    print(json.dumps(shares, indent=1))
    if given.sheet is not None:
        columns = [np.vstack(rows[i : i + len(takes)]) for i in range(0, len(rows), len(takes))]
        write_image(given.sheet, np.hstack(columns))


def cover(take: Take, thing: str, seed: int) -> tuple[Take, list[Region]]:
    """`take` with `thing` crossing the face, and its places in every aligned face."""
    frames, where = [], []
    for index, (picture, alpha) in enumerate(moving(take.real, thing, seed)):
        frames.append(add(take.frames[index], take.faces[index].transform, picture, take.real[index]))
        where.append(alpha > COVERED)
    return replace(take, frames=frames), where


def add(frame: Pixels, transform: NDArray[np.float64], changed: Pixels, real: Pixels) -> Pixels:
    """`frame` with what `changed` has other than `real`, its aligned face."""
    change = changed.astype(np.float32) - real
    size = frame.shape[1], frame.shape[0]
    shown: Pixels = np.clip(frame + cv2.warpAffine(change, inverse(transform), size), 0, 255).round().astype(np.uint8)
    return shown


def find_change(before: Pixels, after: Pixels) -> Region:
    """Where two pictures differ visibly."""
    return np.asarray(cv2.absdiff(before, after).max(2) > SEEN)


def mark(picture: Pixels, where: Region) -> Pixels:
    """`picture` with `where` in red."""
    marked: Pixels = np.where(where[..., None], np.array([255, 0, 0], np.uint8), picture)
    return marked


if __name__ == "__main__":
    main()
