"""`python -m scripts.measure_faces CLIP`: what a second face costs, for docs/performance.md.

The clip is put into one half of a picture, and into both; each is edited by the server's own kind of stream, in turn.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from engines import load_runtime
from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.edits.library import load_library
from rigid.face.group_tracker import FaceChoice
from rigid.files.clips import read_frames
from rigid.models.contract import Runtime
from rigid.stream.group_stream import open_stream

FRAMES, WARM_UP, ROUNDS = 60, 10, 3
HEIGHT = 480


def main() -> None:
    shots = [frame for frame, _ in read_frames(Path(sys.argv[1]), FRAMES)]
    store = AssetStore()
    runtime = load_runtime("mobile-256", "auto", store=store, shared=True)
    landmarks = store.file("face-landmarks", "face_landmarker.task")
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for count, taken in times.items():
            taken += time_frames([put(frame, count) for frame in shots], runtime, landmarks, count)
    one, two = (statistics.median(taken) for taken in times.values())
    print(f"one face {one:.1f} ms a frame, two {two:.1f}: {two / one:.2f} times")


def put(frame: Pixels, count: int) -> Pixels:
    """The frame in the left half of a grey picture, or in both halves."""
    width = round(frame.shape[1] * HEIGHT / frame.shape[0])
    face = np.asarray(cv2.resize(frame, (width, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    return np.hstack([face, face[:, ::-1] if count == 2 else np.full_like(face, 128)])


def time_frames(frames: list[Pixels], runtime: Runtime, landmarks: Path, count: int) -> list[float]:
    """Milliseconds of each frame after the first ones; AssertionError where not all faces are edited."""
    stream = open_stream(runtime, landmarks, load_library("mobile-256"), FaceChoice(2))
    taken = []
    for index, frame in enumerate(frames):
        began = time.perf_counter()
        result = stream.step(frame, {"smile": 1.0}, index / 25)
        taken.append(1e3 * (time.perf_counter() - began))
        assert result.edited and (index < WARM_UP or len(result.numbers) == count), result
    stream.close()
    return taken[WARM_UP:]


if __name__ == "__main__":
    main()
