"""`taskset -c 0 python -m scripts.measure_frame CLIP`: processor time of a live frame by part, for docs/performance.md.

Pictures of 640×480 go through a session's `FrameEditor` with smile at 1, as a viewer's do, on one thread, and through
the codec before and after it. The time is that of the whole process, which other programs change little. Each part is
less the parts that it calls.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import depayload, get_decoder
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame

from aiortc_fixes import install
from aiortc_fixes.h264 import choose_encoder
from engines import load_runtime
from engines.graph_runtime import GraphRuntime
from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.composite.temporal_filter import TemporalFilter
from rigid.edits.library import load_library
from rigid.face.alignment import FaceTracker
from rigid.face.group_tracker import FaceChoice
from rigid.face.landmark_net import LandmarkNet
from rigid.files.clips import read_frames
from rigid.inversion import inverter
from rigid.stream import blending, face_stream
from rigid.stream.group_stream import open_stream
from server.backend import LIVE
from server.frames import frame_editor
from server.frames.frame_editor import FrameEditor, SessionFrame

FRAMES, WARM_UP, ROUNDS = 60, 8, 3
WIDTH, HEIGHT = 640, 480
CODEC = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90000)
NETWORKS = {
    "invert": (GraphRuntime, "invert"),
    "synthesize_face": (GraphRuntime, "synthesize_face"),
    "parse": (GraphRuntime, "parse"),
    "landmarks": (LandmarkNet, "see"),
}
AROUND = {
    "from YUV": (frame_editor, "to_rgb"),
    "following the face": (FaceTracker, "track"),
    "crop": (face_stream, "crop"),
    "noise map settled": (inverter, "settle"),
    "noise map of the edit": (inverter, "drop_old_detail"),
    "answers looked at": (inverter, "_require_finite"),
    "pictures of faces put together": (inverter.Inverter, "_draw_both"),
    "O drawn later": (inverter.Inverter, "catch_up"),
    "masks": (blending, "_masks"),
    "optical flow": (TemporalFilter, "_flow"),
    "steadying": (blending.BlendingStage, "_steady"),
    "composite": (blending, "compose"),
    "pasting": (blending, "paste"),
    "to YUV": (frame_editor, "from_rgb"),
}
CODECS = "decoding", "encoding"
spent: defaultdict[str, float] = defaultdict(float)
within: list[float] = []


class SmileAlways:
    """A session's edits."""

    def at(self, seconds: float) -> tuple[dict[str, float], int]:
        return {"smile": 1.0}, 1


def main() -> None:
    install()
    cv2.setNumThreads(1)
    for name, (owner, attribute) in (NETWORKS | AROUND).items():
        count_time(owner, attribute, name)
    frames = [whole(frame) for frame, _ in read_frames(Path(sys.argv[1]), FRAMES)]
    store = AssetStore()
    runtime = load_runtime("mobile-256", "openvino", store=store, threads=1)
    landmarks = store.file("face-landmarks", "face_landmarker.task")
    stream = open_stream(runtime, landmarks, load_library("mobile-256"), FaceChoice(), LIVE)
    done: list[SessionFrame] = []
    editor = FrameEditor(stream, SmileAlways(), done.append)  # type: ignore[arg-type]
    rows = list(measure(editor, [*frames, *frames[::-1]] * ROUNDS, done))[WARM_UP:]
    assert all(one.error is None and one.face for one in done)
    show(rows)


def show(rows: list[dict[str, float]]) -> None:
    """Print means, the dearest parts around the networks first."""
    means = {name: 1e3 * statistics.mean(row[name] for row in rows) for name in (*NETWORKS, *AROUND, *CODECS, "frame")}
    around = sorted(AROUND, key=lambda name: -means[name])
    means["around them"] = means["frame"] - sum(means[name] for name in NETWORKS)
    means["less than these"] = means["around them"] - sum(means[name] for name in around)
    for name in (*NETWORKS, "around them", *around, "less than these", "frame", *CODECS):
        print(f"{name:32} {means[name]:6.2f} ms a frame")


def count_time(owner: object, attribute: str, name: str) -> None:
    """Let `spent` tell the processor time of a function or a method."""
    function = getattr(owner, attribute)

    def timed(*arguments: object, **named: object) -> object:
        with counting(name):
            return function(*arguments, **named)

    setattr(owner, attribute, timed)


@contextmanager
def counting(name: str) -> Iterator[None]:
    """Add the processor time of what is done to `spent`, less that of what is counted within."""
    within.append(0.0)
    began = time.process_time()
    try:
        yield
    finally:
        took = time.process_time() - began
        spent[name] += took - within.pop()
        if within:
            within[-1] += took


def whole(frame: Pixels) -> Pixels:
    """The middle of the frame, as large as it goes into 640×480."""
    scale = max(WIDTH / frame.shape[1], HEIGHT / frame.shape[0])
    size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    large = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - WIDTH) // 2, (size[1] - HEIGHT) // 2
    return np.ascontiguousarray(large[top : top + HEIGHT, left : left + WIDTH], np.uint8)


def measure(editor: FrameEditor, frames: list[Pixels], done: list[SessionFrame]) -> Iterator[dict[str, float]]:
    """Seconds of processor time that the parts of each frame took."""
    sender, decoder, encoder = choose_encoder(CODEC), get_decoder(CODEC), choose_encoder(CODEC)
    for number, frame in enumerate(frames):
        picture = VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
        picture.pts, picture.time_base = number * 3000, Fraction(1, 90000)
        payloads, timestamp = sender.encode(picture)
        spent.clear()
        data = b"".join(depayload(CODEC, payload) for payload in payloads)
        with counting("decoding"):
            (source,) = decoder.decode(JitterFrame(data=data, timestamp=timestamp))
        with counting("frame"):
            editor.process(SessionFrame(source=source, arrived=time.monotonic()))  # type: ignore[arg-type]
        shown = done[-1].shown
        assert shown is not None
        with counting("encoding"):
            encoder.encode(shown)
        parts = {name: spent[name] for name in (*NETWORKS, *AROUND)}
        yield parts | {name: spent[name] for name in CODECS} | {"frame": spent["frame"] + sum(parts.values())}


if __name__ == "__main__":
    main()
