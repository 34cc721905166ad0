"""Reading video files: every frame with its own time, as a screen shows it, and every other track's packets.

Frames are RGB uint8 (H, W, 3), upright: a rotation that the file asks for is applied. HDR and wide gamut are shown as
BT.709, as networks know it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np

from rigid.arrays import Pixels
from rigid.files.deinterlacing import Deinterlacer
from rigid.files.film_colours import FilmColours, ScreenView
from rigid.files.frame_colours import SWS_FLAGS, convert, to_rgb
from rigid.files.frame_turns import UPRIGHT, Turn, turn_of, turn_upright

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
    frame: av.VideoFrame | None = None
    """The frame as it was decoded, not upright, for a writer; None where the reader is not for writing."""
    turn: Turn = UPRIGHT
    """What makes `frame` upright."""


class VideoReader:
    """The frames of a file and the packets of its other tracks, in the file's order. Use it as a context manager."""

    def __init__(self, path: Path, *, for_writing: bool = False) -> None:
        """`for_writing`: pictures keep the frame they were made from, and packets of other tracks come too."""
        self.path = path
        self.damaged = 0
        """Packets so far that could not be decoded; their frames are missing."""
        self.missing = 0
        """Frames that the file announces and does not hold; known at its end."""
        self.notes: list[str] = []
        """What could not be shown as it is, one sentence each."""
        self._for_writing = for_writing
        self._last_pts: int | None = None
        self._container = _open(path)
        streams = [s for s in self._container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            self._container.close()
            raise VideoError(f"{path} has no video stream; give a file that holds one.")
        # of a damaged file the codec may not be known
        known = [stream for stream in streams if stream.codec_context is not None]
        if not known:
            self._container.close()
            raise VideoError(f"{path} has a video stream of a codec that is not known; give a file that plays.")
        self.stream = known[0]
        self.stream.thread_type = av.codec.context.ThreadType.AUTO
        self.time_base = self.stream.time_base or 1 / DEFAULT_RATE
        self.rate = _rate(self.stream)
        self.shift = _late_start(self._container)
        """Seconds that are taken off all times."""
        self._decoder = _decoder(self.stream)
        self._deinterlacer = Deinterlacer()
        self._view: tuple[FilmColours, ScreenView] | None = None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def others(self) -> list[av.stream.Stream]:
        """All streams but that of the pictures; attachments have no packets."""
        return [stream for stream in self._container.streams if stream.index != self.stream.index]

    @property
    def metadata(self) -> dict[str, str]:
        """The file's own notes, such as its title."""
        return dict(self._container.metadata)

    @property
    def chapters(self) -> list[Any]:
        """The file's chapters as PyAV tells them."""
        return list(self._container.chapters())

    @property
    def frame_estimate(self) -> int | None:
        """How many frames the file probably has, None where it gives no hint."""
        if self.stream.frames:
            return self.stream.frames
        if self.stream.duration and self.stream.time_base:
            return round(self.stream.duration * self.stream.time_base * self.rate)
        return round(self._container.duration * self.rate / av.time_base) if self._container.duration else None

    def __iter__(self) -> Iterator[Picture | av.Packet[Any]]:
        """Frames as `Picture`, and packets of the other tracks as they are."""
        start = time.perf_counter()
        for packet in self._packets():
            if packet.size == 0 and packet.dts is not None:
                continue  # AVI's mark for a repeated frame; a decoder would take it for the end
            if packet.stream.index != self.stream.index:
                if packet.size:
                    yield self._shift(packet)
                continue
            for frame in self._decode(packet):
                yield self._picture(frame, start)
                start = time.perf_counter()
        for frame in self._deinterlacer.flush():
            yield self._picture(frame, start)
            start = time.perf_counter()

    def _packets(self) -> Iterator[av.Packet[av.stream.Stream]]:
        """What the file holds up to its end, or to where it is cut off."""
        others = [stream for stream in self.others if stream.type != "attachment"] if self._for_writing else []
        ended, held = False, 0
        try:
            for packet in self._container.demux(self.stream, *others):
                if packet.stream.index == self.stream.index:
                    held += packet.dts is not None or packet.size > 0
                ended = ended or (packet.size == 0 and packet.dts is None and packet.stream.index == self.stream.index)
                yield packet
        except av.error.FFmpegError:
            self.damaged += 1
            if not ended:
                last: av.Packet[av.stream.Stream] = av.Packet()
                last.stream = self.stream
                yield last
        self.missing = max(0, self.stream.frames - held)

    def _shift(self, packet: av.Packet[Any]) -> av.Packet[Any]:
        ticks = round(self.shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - ticks
        packet.dts = None if packet.dts is None else packet.dts - ticks
        return packet

    def _decode(self, packet: av.Packet[Any]) -> list[av.VideoFrame]:
        try:
            decoded = self._decoder.decode(packet if packet.size else None)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.damaged += 1
            return []
        return [ready for frame in decoded for ready in self._progressive(frame)]

    def _progressive(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        if frame.interlaced_frame and not self.notes:
            self.notes.append("The film is interlaced; its frames were made progressive, one of each two fields.")
        return self._deinterlacer.push(frame)

    def _picture(self, frame: av.VideoFrame, start: float) -> Picture:
        turn = turn_of(frame)
        image = turn_upright(self._render(frame), turn)
        duration = max(0, frame.duration or 0)
        pts = self._next_pts(frame, duration)
        kept = frame if self._for_writing else None
        return Picture(image, pts, duration, (time.perf_counter() - start) * 1e3, kept, turn)

    def _render(self, frame: av.VideoFrame) -> Pixels:
        """The frame as a screen shows it, not upright."""
        jpeg, colours = self.is_jpeg, FilmColours(frame.color_trc, frame.color_primaries)
        if colours.is_plain:
            return to_rgb(frame, jpeg)
        if self._view is None or self._view[0] != colours:
            self._view = colours, ScreenView(colours)
        planar = "gbrp" if frame.format.components[0].bits == 8 else "gbrp12le"
        shown = self._view[1].show(convert(frame, planar, jpeg))
        return np.asarray(shown.reformat(format="rgb24", interpolation=SWS_FLAGS).to_ndarray(), np.uint8)

    @property
    def is_jpeg(self) -> bool:
        """Whether the codec is Motion JPEG, which is full range and BT.601 whatever its size."""
        return self.stream.codec_context.name == "mjpeg"

    def _next_pts(self, frame: av.VideoFrame, duration: int) -> int:
        """The frame's own time, or one frame after the last where it has none or goes back."""
        step = duration or max(1, round(1 / (self.rate * self.time_base)))
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is not None:
            stamp -= round(self.shift / self.time_base)
        else:
            stamp = 0 if self._last_pts is None else self._last_pts + step
        if self._last_pts is not None and stamp <= self._last_pts:
            stamp = self._last_pts + 1
        self._last_pts = stamp
        return stamp


def as_file(path: Path) -> str:
    """The name by which FFmpeg takes `path` for a file whatever it is called: no protocol, option or pattern."""
    return f"file:{path}"


def _open(path: Path) -> av.container.InputContainer:
    try:
        # nothing but files: a playlist must not make this program fetch from the network
        return av.open(as_file(path), options={"protocol_whitelist": "file"}, metadata_errors="replace")
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


def _decoder(stream: av.VideoStream) -> av.VideoStream | av.VideoCodecContext:
    """What decodes the stream: the usual one, but where that leaves out the transparency of WebM."""
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1":
        return stream
    made = av.CodecContext.create(name, "r")
    assert isinstance(made, av.VideoCodecContext)
    return made


def _rate(stream: av.VideoStream) -> Fraction:
    """Frames a second, as good as the file tells."""
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or DEFAULT_RATE
    return rate if 0 < rate <= MAXIMUM_RATE else DEFAULT_RATE


def _late_start(container: av.container.InputContainer) -> Fraction:
    """Seconds to take off all times: broadcast streams count from anywhere, other files from (nearly) nought."""
    start = Fraction(container.start_time or 0, av.time_base)
    return start if start > 1 else Fraction(0)
