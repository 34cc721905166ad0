"""Makes the strip of docs/performance.md: what a viewer sees where every second picture shows the faces of the last.

    python -m scripts.reuse_picture docs/pictures/reused.jpg

A generated face turns and speaks at 25 pictures a second. The rows: as it came, edited with faces generated for every
picture, and as a machine shows it on which pictures come too soon; there a mark tells those of the picture before.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from engines import load_runtime
from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.atomic_files import replacing
from rigid.edits.library import load_library
from rigid.evaluation.generated import Generated
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.models.build import build_mapping, mean_code
from rigid.stream.face_stream import FaceStream
from rigid.training.walks import early_only
from server.backend import LIVE

PROFILE, SEED, TRUNCATION = "mobile-256", 25, (0.7, 0.7)
EDITS = {"smile": 1.0}
RATE, FRAMES, SHOWN = 25.0, 24, 8
"""Pictures a second, how many a stream is given, and the last of them that are shown."""
SIDE, MARK = 150, 16
"""Of a picture shown, and of the mark in a whole one, pixels."""


def main() -> None:
    """Make the strip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="The JPEG file to write.")
    output: Path = parser.parse_args().output
    store = AssetStore()
    runtime = load_runtime(PROFILE, "auto", store=store)
    try:
        faces = Generated(runtime, load_library(PROFILE), build_mapping(store), mean_code(PROFILE))
        came = [faces.picture(codes) for codes in speaking(faces)]
        rows = came, list(edit(faces, store, came, hurried=False)), list(edit(faces, store, came, hurried=True))
    finally:
        runtime.close()
    strip = np.vstack([np.hstack([_small(picture) for picture in row[-SHOWN:]]) for row in rows])
    with replacing(output) as part:
        Image.fromarray(strip).save(part, "JPEG", quality=88)


def speaking(faces: Generated) -> Iterator[Array]:
    """The codes of a face that turns in two seconds and opens its mouth three times a second."""
    codes, n_shared = faces.codes(1, SEED, TRUNCATION)[0], faces.runtime.sizes.n_shared_codes
    for number in range(FRAMES):
        turn = 2 * math.pi * number / RATE
        moves = {"yaw": 0.5 * math.sin(turn / 2), "mouth_open": 0.25 * (1 - math.cos(3 * turn))}
        yield codes + sum(early_only(faces.library[name].offset(far), n_shared) for name, far in moves.items())


def edit(faces: Generated, store: AssetStore, came: list[Pixels], hurried: bool) -> Iterator[Pixels]:
    """`came` as live video shows it, `hurried` or with time enough."""
    size = faces.runtime.sizes.image_size
    tracker = FaceTracker(FaceLandmarker(store.file("face-landmarks", "face_landmarker.task")), size)
    stream = FaceStream(faces.runtime, tracker, faces.library, LIVE)
    try:
        for number, picture in enumerate(came):
            made = stream.generate(replace(stream.locate(picture, number / RATE), hurried=hurried), EDITS)
            shown = stream.blend(made).frame.copy()
            if made.pictures_reused:
                shown[:MARK, :MARK] = 255, 0, 0
            yield shown
            stream.catch_up()
    finally:
        stream.close()


def _small(picture: Pixels) -> Pixels:
    small: Pixels = np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return small


if __name__ == "__main__":
    main()
