"""`taskset -c 0 python -m scripts.measure_frame CLIP`: processor time of a live frame by part, for docs/performance.md.

Pictures of 640×480 go through a session's `FrameEditor` with smile at 1, as a viewer's do, on one thread. The time is
that of the whole process, which other programs change little.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from av import VideoFrame

from engines import load_runtime
from engines.graph_runtime import GraphRuntime
from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.edits.library import load_library
from rigid.face.group_tracker import FaceChoice
from rigid.face.landmark_net import LandmarkNet
from rigid.files.clips import read_frames
from rigid.stream.group_stream import open_stream
from server.backend import LIVE
from server.frames.frame_editor import FrameEditor, SessionFrame

FRAMES, WARM_UP = 60, 8
WIDTH, HEIGHT = 640, 480
PARTS = ((GraphRuntime, "invert"), (GraphRuntime, "synthesize_face"), (GraphRuntime, "parse"), (LandmarkNet, "see"))
spent: defaultdict[str, float] = defaultdict(float)


class SmileAlways:
    """A session's edits."""

    def at(self, seconds: float) -> tuple[dict[str, float], int]:
        return {"smile": 1.0}, 1


def main() -> None:
    cv2.setNumThreads(1)
    for owner, name in PARTS:
        count_time(owner, name)
    frames = [whole(frame) for frame, _ in read_frames(Path(sys.argv[1]), FRAMES)]
    store = AssetStore()
    runtime = load_runtime("mobile-256", "openvino", store=store, threads=1)
    landmarks = store.file("face-landmarks", "face_landmarker.task")
    stream = open_stream(runtime, landmarks, load_library("mobile-256"), FaceChoice(), LIVE)
    done: list[SessionFrame] = []
    editor = FrameEditor(stream, SmileAlways(), done.append)  # type: ignore[arg-type]
    rows = [measure(editor, frame, number) for number, frame in enumerate(frames)][WARM_UP:]
    assert all(one.error is None and one.face for one in done)
    for name in rows[0]:
        print(f"{name:16} {1e3 * statistics.mean(row[name] for row in rows):6.1f} ms a frame")


def count_time(owner: type, name: str) -> None:
    """Let `spent` tell the processor time of a method."""
    method = getattr(owner, name)

    def timed(*arguments: object, **named: object) -> object:
        began = time.process_time()
        try:
            return method(*arguments, **named)
        finally:
            spent[name] += time.process_time() - began

    setattr(owner, name, timed)


def whole(frame: Pixels) -> Pixels:
    """The middle of the frame, as large as it goes into 640×480."""
    scale = max(WIDTH / frame.shape[1], HEIGHT / frame.shape[0])
    size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    large = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - WIDTH) // 2, (size[1] - HEIGHT) // 2
    return np.ascontiguousarray(large[top : top + HEIGHT, left : left + WIDTH], np.uint8)


def measure(editor: FrameEditor, frame: Pixels, number: int) -> dict[str, float]:
    """Seconds of processor time that the parts of a frame took."""
    picture = VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
    picture.pts, picture.time_base = number * 3000, Fraction(1, 90000)
    spent.clear()
    began = time.process_time()
    editor.process(SessionFrame(source=picture, arrived=time.monotonic()))
    total = time.process_time() - began
    parts = {name: spent[name] for _, name in PARTS}
    return {"total": total, **parts, "the rest": total - sum(parts.values())}


if __name__ == "__main__":
    main()
