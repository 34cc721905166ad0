"""`python -m tests.files.overlap [FILM]`: what share of the time of an edit is that of its networks, for docs/files.md.

The fake runtime takes its time without using a processor, as a GPU does, so that this is about the program alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.files.edit import EditJob, edit_file
from rigid.stream.face_stream import FaceStream
from tests.clips import write_clip
from tests.fakes import FakeRuntime
from tests.worlds import FixedTracker, make_stream, textured_frame

SIZE = (1920, 1080)
FRAMES = 300
RATE = 30
Picture = Callable[[int, tuple[int, int]], NDArray[np.uint8]]
NETWORK_SECONDS = 0.5
"""Of a frame, half of it for each of the two networks, one after the other."""


def moving(picture: NDArray[np.uint8]) -> Picture:
    """What write_clip asks for: a picture with something new in each frame, as real ones have."""

    def shown(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        return np.roll(picture, 2 * number, 1)

    return shown


def edited(film: Path, target: Path) -> tuple[int, float]:
    """Frames, and seconds that their edit took."""

    def make() -> FaceStream:
        tracker = FixedTracker((SIZE[0] / 2, SIZE[1] / 2), 600.0)
        return make_stream(FakeRuntime(delay_seconds=NETWORK_SECONDS / 2), tracker)

    began = time.perf_counter()
    report = edit_file(EditJob(film, target, {"light": 1.0}), make, "tiny")
    assert report.edited_frames == report.frames and not report.failed_frames
    return report.frames, time.perf_counter() - began


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "in.mp4"
        if len(sys.argv) == 1:
            stamps = [round(1000 * number / RATE) for number in range(FRAMES)]
            write_clip(film, stamps, size=SIZE, picture=moving(textured_frame(shape=(SIZE[1], SIZE[0], 3))), rate=RATE)
        frames, took = edited(film, Path(folder) / "out.mp4")
    print(f"{frames} frames: networks {frames * NETWORK_SECONDS:.1f} s of {took:.1f} s")
    print(f"{100 * frames * NETWORK_SECONDS / took:.1f} %")


if __name__ == "__main__":
    main()
