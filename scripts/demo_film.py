"""Makes the film of the demo: a generated face that turns, blinks and smiles a little, over and over.

    python scripts/demo_film.py client/demo.webm

The face is a walk in W+ along pose, eyes and mouth, drawn by the product's own generator.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from engines import load_runtime
from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.atomic_files import replacing
from rigid.edits.library import AttributeLibrary, load_library
from rigid.evaluation.generated import Generated
from rigid.geometry import resample, similarity
from rigid.models.build import build_mapping, mean_code
from rigid.training.walks import early_only

PROFILE = "mobile-256"
SEED, TRUNCATION = 42, (0.7, 0.7)
CALM = -1.4
"""Strength of the smile that this face is at rest with: it smiles where nothing is done."""
SECONDS, RATE = 8, 20
FRAMES = SECONDS * RATE
BLINKS, BLINK_FRAMES = (1.1, 3.4, 6.3), 3.0
"""When the eyes close, in seconds, and for how long about, in frames."""
SIDE = 480
ENCODER = {"crf": "34", "b": "0", "deadline": "best", "cpu-used": "1", "auto-alt-ref": "1", "lag-in-frames": "25"}
LARGEST = 300_000
"""Bytes of the file at most."""


def main() -> None:
    """Make the film and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="The WebM file to write.")
    output: Path = parser.parse_args().output
    store = AssetStore()
    runtime = load_runtime(PROFILE, "auto", store=store)
    try:
        faces = Generated(runtime, load_library(PROFILE), build_mapping(store), mean_code(PROFILE))
        with replacing(output) as part:
            write(part, film(faces))
            size = part.stat().st_size
            if size > LARGEST:
                raise SystemExit(f"The film has {size} bytes, more than {LARGEST}; raise crf or lower RATE.")
    finally:
        runtime.close()
    print(f"{output}: {FRAMES} frames of {SIDE}×{SIDE}, {size} bytes")


def film(faces: Generated) -> Iterator[Pixels]:
    """`FRAMES` pictures (SIDE, SIDE, 3), the last leading back to the first."""
    codes = faces.codes(1, SEED, TRUNCATION)[0]
    for i in range(FRAMES):
        turn = 2 * math.pi * i / FRAMES
        step = codes + _moves(faces.library, turn, i, faces.runtime.sizes.n_shared_codes)
        yield _sway(faces.picture(step), turn)


def write(path: Path, pictures: Iterator[Pixels]) -> None:
    """Encode `pictures` as VP9, which every browser plays."""
    with av.open(str(path), "w", format="webm") as container:
        stream = container.add_stream("libvpx-vp9", rate=RATE, options=ENCODER)
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, RATE)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _moves(library: AttributeLibrary, turn: float, frame: int, n_shared: int) -> Array:
    """What is added to the codes (n_codes, 512) at `turn`, the angle in the loop, which is that of `frame`."""
    strengths = {
        "yaw": 0.5 * math.sin(turn) + 0.15 * math.sin(3 * turn + 1),
        "pitch": 0.2 * math.sin(2 * turn) + 0.1 * math.sin(5 * turn + 2),
        "smile": CALM + 0.4 * max(0.0, math.sin(turn + 2.5)) ** 2,
        "mouth_open": 0.12 * max(0.0, math.sin(2 * turn + 0.5)) * math.sin(7 * turn) ** 2,
        "eyes_closed": 1.15 * sum(math.exp(-(((frame - at * RATE) / BLINK_FRAMES * 2) ** 2)) for at in BLINKS),
    }
    moves = [early_only(library[name].offset(strength), n_shared) for name, strength in strengths.items()]
    moved: Array = np.sum(moves, axis=0, dtype=np.float32)
    return moved


def _sway(picture: Pixels, turn: float) -> Pixels:
    """`picture` as a head has it that is not held: a little to the side, up and aslant; (SIDE, SIDE, 3)."""
    side = picture.shape[0]
    centre = side / 2 - side * np.array([0.014 * math.sin(turn), 0.004 * math.sin(2 * turn + 1)])
    seen = similarity(centre, 0.97 * side, 0.023 * math.sin(turn + 0.4), (SIDE, SIDE))
    return resample(picture, seen, (SIDE, SIDE))


if __name__ == "__main__":
    main()
