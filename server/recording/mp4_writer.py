"""Pictures and sound of a session into an mp4, at their own times, as far as it may grow."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av import AudioFrame, VideoFrame
from av.video.reformatter import ColorRange

from rigid.arrays import Pixels
from server.frames.frame_arrays import from_rgb, to_rgb
from server.recording.soundtrack import Soundtrack

CLOCK = Fraction(1, 90_000)
AVCOL_SPC_SMPTE170M = 6
"""BT.601, as all pictures of the server are."""
OPTIONS = {"crf": "21", "preset": "veryfast", "tune": "zerolatency", "g": "60"}
FILE_OPTIONS = {
    "movflags": "+hybrid_fragmented+frag_keyframe+default_base_moof",
    "frag_duration": "1000000",
    "flush_packets": "1",
}
"""In fragments of a second at most while it is written, so that it is whole up to the last of them whatever happens;
an ordinary file once it is complete."""
FRAME_RATE = 30
OVERHEAD_BYTES = 64 * 1024
"""The manifest, and the file's own tables but for those of each packet."""
PACKET_BYTES = 72
"""Of those tables and of the fragments' own, for each packet."""
EARLY_SOUNDS = 250
"""Five seconds of 20 ms frames: they come sooner than their pictures, which are edited first."""
SETTLING_SECONDS = 1.0
"""So long a sound waits: of those that piled up on their way and come in a rush, only the last tells how late they all
are, and where each was put by what was known when it came, they would cover each other."""
OUT_OF_STEP_SECONDS = 0.04
"""What is less apart nobody notices (ITU-R BT.1359); to move the sound for it would be heard."""


@dataclass(frozen=True)
class FilmLimits:
    """The bounds at which a film ends by itself."""

    seconds: float
    bytes: int


class Mp4Writer:
    """An mp4 (H.264) while it is written; one thread at a time. The first picture sets its size."""

    def __init__(self, path: Path, limits: FilmLimits, *, sound: bool = False) -> None:
        """`path` appears with the first picture. `sound`: whether it has a track for it."""
        self.frames = 0
        self.seconds = 0.0
        self.bytes = 0
        """Of pictures and sound, without the file's own tables."""
        self._has_sound = sound
        self._sound: Soundtrack | None = None
        self._waiting: deque[tuple[AudioFrame, float]] = deque(maxlen=EARLY_SOUNDS)
        self._ahead = 0.0
        self._placed_ahead = math.inf
        self._limits = limits
        self._path = path
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._size = (0, 0)
        self._begin = 0.0
        self._last = -1
        self._largest = 0
        self._packets = 0

    def write(self, frame: VideoFrame) -> str:
        """Add a picture; why the film is at its end before it, `max_seconds` or `max_bytes`, empty where it is not.

        A picture whose time does not follow the last one's is passed over. OSError where the file cannot be written.
        """
        assert frame.time is not None
        if self._stream is None:
            self._open(frame)
        ticks = round((frame.time - self._begin) / CLOCK)
        if ticks <= self._last:
            return ""
        if ticks * CLOCK > self._limits.seconds:
            return "max_seconds"
        if self._estimate_size() > self._limits.bytes:
            return "max_bytes"
        self._encode(self._fit(frame), ticks)
        return ""

    def hear(self, frame: AudioFrame, ahead: float, came: float) -> str:
        """Add a sound that came at `came`, on any clock; `max_bytes` where the film is at its end before it.

        `ahead`: how many seconds the pictures' clock is ahead of the sounds', as is known now. What lies before the
        first picture, or beyond the film's length, is left out.
        """
        if not self._has_sound:
            return ""
        self._ahead = ahead
        end = self._place_sounds(came - SETTLING_SECONDS, EARLY_SOUNDS - 1)
        self._waiting.append((frame, came))
        return end

    def close(self) -> None:
        """Finish the file; safe to call twice."""
        if self._container is None or self._stream is None:
            return
        self._mux(self._stream.encode(None))
        self._place_sounds(math.inf, 0)
        if self._sound is not None:
            self._mux(self._sound.close(self.seconds))
        self._container.close()
        self._container = self._stream = self._sound = None

    def abandon(self) -> None:
        """Let go of a file that cannot be written any more."""
        self._container = self._stream = self._sound = None

    def _open(self, frame: VideoFrame) -> None:
        assert frame.time is not None
        self._begin, self._size = frame.time, (frame.width, frame.height)
        self._container = av.open(str(self._path), "w", format="mp4", options=FILE_OPTIONS)
        self._stream = self._container.add_stream("libx264", rate=FRAME_RATE, options=OPTIONS)
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = *self._size, "yuv420p"
        context.time_base = CLOCK
        # The networks need the processors.
        context.thread_count = 1
        context.color_range, context.colorspace = ColorRange.MPEG, AVCOL_SPC_SMPTE170M
        if self._has_sound:
            self._sound = Soundtrack(self._container)

    def _place_sounds(self, until: float, most: int) -> str:
        """Write those that came until then, and what is more than `most` that wait."""
        while self._sound is not None and self._waiting and (self._waiting[0][1] <= until or len(self._waiting) > most):
            if self._estimate_size() > self._limits.bytes:
                return "max_bytes"
            frame, _ = self._waiting.popleft()
            assert frame.time is not None
            if abs(self._ahead - self._placed_ahead) > OUT_OF_STEP_SECONDS:
                self._placed_ahead = self._ahead
            seconds = frame.time + self._placed_ahead - self._begin
            if seconds < self._limits.seconds:
                self._mux(self._sound.add(frame, seconds))
        return ""

    def _encode(self, frame: VideoFrame, ticks: int) -> None:
        assert self._stream is not None
        frame.pts, frame.time_base = ticks, CLOCK
        self._mux(self._stream.encode(frame))
        self._last = ticks
        self.frames += 1
        self.seconds = float(ticks * CLOCK)

    def _mux(self, packets: Sequence[av.Packet[av.VideoStream] | av.Packet[av.AudioStream]]) -> None:
        assert self._container is not None
        for packet in packets:
            self.bytes += packet.size
            self._packets += 1
            self._largest = max(self._largest, packet.size)
            self._container.mux(packet)

    def _estimate_size(self) -> int:
        """How large the file would be with one more packet, at worst as large as the largest one so far."""
        return self.bytes + self._largest + PACKET_BYTES * (self._packets + 1) + OVERHEAD_BYTES

    def _fit(self, frame: VideoFrame) -> VideoFrame:
        """A copy, as the picture itself is being sent too; with bars where the camera was turned since."""
        if (frame.width, frame.height) == self._size:
            return VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
        return from_rgb(_letterbox(to_rgb(frame), *self._size), frame)


def _letterbox(picture: Pixels, width: int, height: int) -> Pixels:
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas
