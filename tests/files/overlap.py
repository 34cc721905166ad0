"""`python -m tests.files.overlap [FILM]`: what share of the time of an edit is that of its networks, for docs/files.md.

The fake runtime takes its time without using a processor, as a GPU does, so that this is about the program alone.
`python -m tests.files.overlap --parts FILM` times decoding, editing with the real networks, and encoding, each alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from engines import load_runtime
from rigid.assets.store import AssetStore
from rigid.edits.library import load_library
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.video_reader import Picture, VideoReader
from rigid.files.video_writer import open_writer
from rigid.stream.face_stream import FaceStream
from rigid.stream.pipeline import Step, overlapped
from tests.clips import write_clip
from tests.fakes import FakeRuntime
from tests.worlds import FixedTracker, make_stream, textured_frame

SIZE = (1920, 1080)
FRAMES = 300
RATE = 30
Painter = Callable[[int, tuple[int, int]], NDArray[np.uint8]]
Made = TypeVar("Made")
NETWORK_SECONDS = 0.5
"""Of a frame, half of it for each of the two networks, one after the other."""


def moving(picture: NDArray[np.uint8]) -> Painter:
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


def time_parts(film: Path) -> None:
    """Print what each part of an edit of the first frames takes a frame, by the clock and of the processor."""
    with VideoReader(film, for_writing=True) as reader, tempfile.TemporaryDirectory() as folder:
        pictures = timed("decode", lambda: list(islice((one for one in reader if isinstance(one, Picture)), FRAMES)))
        frames = [one.image for one in pictures]
        with closing(real_stream("mobile-256")) as stream:
            shown = timed("edit", lambda: edit_alone(stream, frames))
        with open_writer(Path(folder) / "out.mp4", reader) as writer:
            timed("encode", lambda: [writer.write(*pair) for pair in zip(shown, pictures, strict=True)])


def real_stream(profile: str) -> FaceStream:
    """The stream that `rigid-live edit` has, on networks that are exported already."""
    store = AssetStore()
    runtime = load_runtime(profile, "auto", store=store)
    landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"))
    return FaceStream(runtime, FaceTracker(landmarker, runtime.sizes.image_size), load_library(profile))


def edit_alone(stream: FaceStream, frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The frames with a smile."""
    steps = (Step(frame, {"smile": 1.0}, number / RATE) for number, frame in enumerate(frames))
    return [result.frame for result in overlapped(stream, steps)]


def timed(name: str, part: Callable[[], list[Made]]) -> list[Made]:
    """What `part` makes, one thing a frame."""
    began, used = time.perf_counter(), time.process_time()
    made = part()
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    print(f"{name}: {1e3 * seconds / len(made):.1f} ms a frame, {1e3 * processor / len(made):.1f} ms of the processor")
    return made


def main() -> None:
    if sys.argv[1:2] == ["--parts"]:
        time_parts(Path(sys.argv[2]))
        return
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
