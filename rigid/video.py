"""Reading and writing video files: every frame with its own time, colours kept, audio carried along.

Frames are RGB uint8 (H, W, 3), upright: a rotation that the file asks for is applied.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SWS_FLAGS = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Without accurate rounding the conversion to RGB darkens the picture by about 1/255."""
UNTAGGED = (0, 2)
"""AVCOL_SPC_RGB and AVCOL_SPC_UNSPECIFIED: the file does not say which matrix its luma and chroma follow."""
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""By AVColorSpace, the number in the file's tags."""
DEFAULT_RATE = Fraction(25)
MAXIMUM_RATE = 1000


class VideoError(ValueError):
    """A file that cannot be read as a video; its text is one sentence for the user."""


@dataclass(frozen=True)
class Picture:
    """One frame of a file."""

    image: Pixels
    """RGB (H, W, 3) uint8, upright."""
    pts: int
    """When it is shown, in the reader's `time_base`; rises strictly from frame to frame."""
    duration: int
    """How long it is shown, in `time_base`; 0 where the file does not say."""
    decode_ms: float
    """What decoding and converting it took."""


class VideoReader:
    """The frames and audio packets of a file, in the file's order. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        """Packets so far that could not be decoded; their frames are missing."""
        self._last_pts: int | None = None
        self._container = _open(path)
        streams = [s for s in self._container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            self._container.close()
            raise VideoError(f"{path} has no video stream; give a file that holds one.")
        self.stream = streams[0]
        self.stream.thread_type = av.codec.context.ThreadType.AUTO
        self.time_base = self.stream.time_base or 1 / DEFAULT_RATE
        self.rate = _rate(self.stream)
        self._shift = _late_start(self._container)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def audio(self) -> tuple[av.AudioStream, ...]:
        """The file's audio streams."""
        return self._container.streams.audio

    @property
    def metadata(self) -> dict[str, str]:
        """The file's own notes, such as its title."""
        return dict(self._container.metadata)

    @property
    def frame_estimate(self) -> int | None:
        """How many frames the file probably has, None where it gives no hint."""
        if self.stream.frames:
            return self.stream.frames
        if self.stream.duration and self.stream.time_base:
            return round(self.stream.duration * self.stream.time_base * self.rate)
        return round(self._container.duration * self.rate / av.time_base) if self._container.duration else None

    def __iter__(self) -> Iterator[Picture | av.Packet[av.AudioStream]]:
        """Frames as `Picture`, audio as packets that were not decoded."""
        start = time.perf_counter()
        for packet in self._packets():
            if packet.size == 0 and packet.dts is not None:
                continue  # AVI's mark for a repeated frame; a decoder would take it for the end
            if isinstance(packet.stream, av.AudioStream):
                if packet.size:
                    yield self._shifted(packet)
                continue
            for frame in self._decode(packet):
                picture = self._picture(frame, start)
                yield picture
                start = time.perf_counter()

    def _packets(self) -> Iterator[av.Packet[av.stream.Stream]]:
        """What the file holds up to its end, or to where it is cut off."""
        try:
            yield from self._container.demux(self.stream, *self.audio)
        except av.error.FFmpegError:
            self.damaged += 1

    def _shifted(self, packet: av.Packet[Any]) -> av.Packet[av.AudioStream]:
        ticks = round(self._shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - ticks
        packet.dts = None if packet.dts is None else packet.dts - ticks
        return packet

    def _decode(self, packet: av.Packet[av.stream.Stream]) -> list[av.VideoFrame]:
        try:
            return self.stream.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.damaged += 1
            return []

    def _picture(self, frame: av.VideoFrame, start: float) -> Picture:
        image = turn_upright(to_rgb(frame, jpeg=self.stream.codec_context.name == "mjpeg"), frame)
        duration = max(0, frame.duration or 0)
        pts = self._next_pts(frame, duration)
        return Picture(image, pts, duration, (time.perf_counter() - start) * 1e3)

    def _next_pts(self, frame: av.VideoFrame, duration: int) -> int:
        """The frame's own time, or one frame after the last where it has none or goes back."""
        step = duration or max(1, round(1 / (self.rate * self.time_base)))
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is not None:
            stamp -= round(self._shift / self.time_base)
        else:
            stamp = 0 if self._last_pts is None else self._last_pts + step
        if self._last_pts is not None and stamp <= self._last_pts:
            stamp = self._last_pts + 1
        self._last_pts = stamp
        return stamp


def _open(path: Path) -> av.container.InputContainer:
    try:
        # nothing but files: a playlist must not make this program fetch from the network
        return av.open(str(path), options={"protocol_whitelist": "file"})
    except FileNotFoundError:
        raise VideoError(f"There is no file {path}; check the name.") from None
    except IsADirectoryError:
        raise VideoError(f"{path} is a folder; give a video or image file.") from None
    except PermissionError:
        raise VideoError(f"{path} may not be read; check its permissions.") from None
    except (av.error.FFmpegError, OSError):
        empty = path.is_file() and path.stat().st_size == 0
        reason = "is empty (0 bytes)" if empty else "is not a video that can be read"
        raise VideoError(f"{path} {reason}; give a file that plays.") from None


def _rate(stream: av.VideoStream) -> Fraction:
    """Frames a second, as good as the file tells."""
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or DEFAULT_RATE
    return rate if 0 < rate <= MAXIMUM_RATE else DEFAULT_RATE


def _late_start(container: av.container.InputContainer) -> Fraction:
    """Seconds to take off all times: broadcast streams count from anywhere, other files from (nearly) nought."""
    start = Fraction(container.start_time or 0, av.time_base)
    return start if start > 1 else Fraction(0)


def matrix_of(frame: av.VideoFrame, jpeg: bool = False) -> Colorspace:
    """The matrix the frame's colours follow: its tag, else BT.601 for JPEG and SD and BT.709 for HD."""
    if frame.colorspace not in UNTAGGED:
        return MATRICES.get(frame.colorspace, Colorspace.ITU709)
    high = is_high_definition(frame.width, frame.height) and not jpeg
    return Colorspace.ITU709 if high else Colorspace.ITU601


def is_high_definition(width: int, height: int) -> bool:
    """Whether a picture of this size counts as HD, so that BT.709 is meant where nothing is said."""
    return max(width, height) >= 1280 or min(width, height) >= 720


def to_rgb(frame: av.VideoFrame, jpeg: bool = False) -> Pixels:
    """The frame's colours as RGB (H, W, 3) uint8, not rotated; `jpeg` says that the codec is Motion JPEG."""
    full = jpeg or frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    converted = frame.reformat(
        format="rgb24",
        src_colorspace=matrix_of(frame, jpeg),
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=SWS_FLAGS,
    )
    return np.asarray(converted.to_ndarray(), np.uint8)


def turn_upright(image: Pixels, frame: av.VideoFrame) -> Pixels:
    """`image` turned and mirrored as the frame's display matrix asks, in quarter turns."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return image
    # the matrix sends (x, y) to (a·x + c·y, b·x + d·y)
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32)[:5])
    if abs(b) > abs(a):
        image, flip_x, flip_y = image.swapaxes(0, 1), c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])
