"""Makes the README's picture: generated faces that move, each before and after an edit, as an animated WebP.

    python scripts/readme_picture.py docs/pictures/edits.webp

The faces are walks in W+ along pose and mouth, drawn by the product's own generator and edited by the very stream
that edits live video.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engines import load_runtime
from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.atomic_files import replacing
from rigid.edits.library import AttributeLibrary, load_library
from rigid.evaluation.generated import Generated
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.models.build import build_mapping, mean_code
from rigid.stream.face_stream import FaceStream
from rigid.training.walks import early_only

PROFILE = "mobile-256"
SHOWN = (("smile", 1.0, 19), ("age", 1.0, 8), ("beard", 1.0, 25), ("glasses", 1.0, 15), ("heavy_makeup", 1.0, 1))
"""An attribute, its strength, and the seed of the face that wears it."""
TRUNCATION = (0.7, 0.7)
FRAMES, RATE = 12, 8.0
LEAD_IN = 2
"""Frames of the loop's end that a stream sees before its start, so that the one leads to the other."""
SIDE, CAPTION, GAP = 164, 26, 4
QUALITY = 72
LARGEST = 3 * 2**20
"""Bytes of the file at most."""


def main() -> None:
    """Make the picture and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="The WebP file to write.")
    output: Path = parser.parse_args().output
    store = AssetStore()
    runtime = load_runtime(PROFILE, "auto", store=store)
    try:
        faces = Generated(runtime, load_library(PROFILE), build_mapping(store), mean_code(PROFILE))
        columns = [list(column(faces, store, *one)) for one in SHOWN]
    finally:
        runtime.close()
    pictures = [Image.fromarray(np.hstack([each[i] for each in columns])) for i in range(FRAMES)]
    with replacing(output) as part:
        rest, duration = pictures[1:], round(1000 / RATE)
        pictures[0].save(part, save_all=True, append_images=rest, duration=duration, loop=0, quality=QUALITY, method=6)
        size = part.stat().st_size
        if size > LARGEST:
            raise SystemExit(f"The picture has {size} bytes, more than {LARGEST}; lower QUALITY or FRAMES.")
    print(f"{output}: {len(pictures)} frames of {pictures[0].width}×{pictures[0].height}, {size} bytes")


def column(faces: Generated, store: AssetStore, name: str, strength: float, seed: int) -> Iterator[Pixels]:
    """One face's frames, before above after above what the edit is called, (2·SIDE + CAPTION, SIDE, 3)."""
    codes = faces.codes(1, seed, TRUNCATION)[0]
    before = [faces.picture(step) for step in moving(codes, faces.library, faces.runtime.sizes.n_shared_codes)]
    caption = _caption(faces.library[name].label)
    for real, edited in zip(before, edit_loop(faces, store, before, {name: strength}), strict=True):
        shown = [cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for picture in (real, edited)]
        yield np.pad(np.vstack([*shown, caption]), ((0, 0), (0, GAP), (0, 0)), constant_values=255)


def moving(codes: Array, library: AttributeLibrary, n_shared: int) -> Iterator[Array]:
    """`FRAMES` codes of the face of `codes` as it turns, nods and speaks, the last leading back to the first."""
    for i in range(FRAMES):
        turn = 2 * math.pi * i / FRAMES
        moves = {
            "yaw": 0.55 * math.sin(turn),
            "pitch": 0.25 * math.sin(2 * turn),
            "mouth_open": 0.3 * max(0.0, math.sin(3 * turn)),
        }
        yield codes + sum(early_only(library[name].offset(strength), n_shared) for name, strength in moves.items())


def edit_loop(faces: Generated, store: AssetStore, before: list[Pixels], edits: dict[str, float]) -> Iterator[Pixels]:
    """`before` as a stream edits it that has seen the loop's end."""
    size = faces.runtime.sizes.image_size
    tracker = FaceTracker(FaceLandmarker(store.file("face-landmarks", "face_landmarker.task")), size)
    stream = FaceStream(faces.runtime, tracker, faces.library)
    try:
        for number, picture in enumerate([*before[-LEAD_IN:], *before]):
            result = stream.step(picture, edits, number / RATE)
            if result.error is not None:
                raise SystemExit(f"A frame could not be edited: {result.error}")
            if number >= LEAD_IN:
                yield result.frame
    finally:
        stream.close()


def _caption(text: str) -> Pixels:
    line = Image.new("RGB", (SIDE, CAPTION), "white")
    ImageDraw.Draw(line).text((SIDE / 2, CAPTION / 2), text, "black", ImageFont.load_default(15), anchor="mm")
    return np.asarray(line, np.uint8)


if __name__ == "__main__":
    main()
