"""Encoders and decoders: their bitrates, how quick they are, and how many threads they take."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, ClassVar

from aiortc import RTCPeerConnection
from aiortc.codecs import h264, vpx
from aiortc.codecs.base import Decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import VIDEO_TIME_BASE
from av import CodecContext, VideoFrame
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from aiortc_fixes import sizes
from aiortc_fixes.privates import SENDER, replace

MOST_OFF, MOST_OFF_VP8 = 0.2, 0.1
"""Of its bitrate; a codec that is further off is made anew."""
LONGEST_SHARE, SHORTEST_SHARE = 0.2, 1 / 150
"""Seconds whose bits a picture gets at most and at least, however long after the last one it comes."""
BUFFER_SECONDS = 0.5
"""Of the bitrate; so many bits more than it an H.264 encoder may have spent at any moment, and no more."""
CPUS = os.cpu_count() or 1
_decoding = threading.BoundedSemaphore(CPUS)


def set_bitrates(start: int, minimum: int, maximum: int) -> None:
    """Set the bits a second of the video encoders made from now on, in the whole process.

    aiortc has them as constants, at most 1.5 Mbit/s for VP8, which is blurred at 720p. `minimum` is what a receiver's
    estimate of the path may bring an encoder down to: that estimate follows what is received, so that without a
    bound it would sink by itself, and faces would fall into blocks.
    """
    for codec in (vpx, h264):
        replace(codec, "DEFAULT_BITRATE", start)
        replace(codec, "MIN_BITRATE", minimum)
        replace(codec, "MAX_BITRATE", maximum)


def set_largest_side(pixels: int) -> None:
    """Set how long a side of a picture may be for it to be decoded, in the whole process."""
    replace(sizes, "LARGEST_SIDE", pixels)


class QuickVp8Encoder(vpx.Vp8Encoder):
    """A VP8 encoder that leaves the processor to the networks, and shows what it is given.

    aiortc has libvpx take away what it holds for noise: it blurs what moves a little, such as a face, by 3 to 4 dB at
    the same bitrate, and what a camera's noise was is gone from a picture that has been encoded before.
    """

    options: ClassVar = {
        "cpu-used": "-12",
        "deadline": "realtime",
        "lag-in-frames": "0",
        "overshoot-pct": "15",
        "partitions": "0",
        "static-thresh": "1",
        "undershoot-pct": "100",
    }
    """Of libvpx, as aiortc has them but for the two of which the above is said: cpu-used was -6."""

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """See `aiortc.codecs.base.Encoder`."""
        assert isinstance(frame, VideoFrame)
        if self.codec is None or not self._suits(self.codec, frame):
            self.codec = self._new_codec(frame)
        return super().encode(frame, force_keyframe)

    def _suits(self, codec: VideoCodecContext, frame: VideoFrame) -> bool:
        # as aiortc asks, which would make one of its own
        bits = codec.bit_rate or 1
        size = (codec.width, codec.height)
        return size == (frame.width, frame.height) and abs(self.target_bitrate - bits) / bits <= MOST_OFF_VP8

    def _new_codec(self, frame: VideoFrame) -> VideoCodecContext:
        codec = CodecContext.create("libvpx", "w")
        codec.width, codec.height = frame.width, frame.height
        codec.bit_rate = self.target_bitrate
        codec.pix_fmt = "yuv420p"
        codec.gop_size, codec.qmin, codec.qmax = 3000, 2, 56
        # equal bounds make the bitrate a constant one
        codec.options = self.options | dict.fromkeys(("bufsize", "minrate", "maxrate"), str(self.target_bitrate))
        codec.thread_count = vpx.number_of_threads(frame.width * frame.height, CPUS)
        return codec


class QuickH264Encoder(h264.H264Encoder):
    """An H.264 encoder that leaves the processor to the networks and keeps the bitrate it is told.

    aiortc uses x264's preset "medium": 13 ms of processor time for a picture of 640x480, where "veryfast" takes 4 ms
    for the same picture in as many bytes, and "superfast" six tenths of that for 0.4 dB less. It has x264 count on 30
    pictures a second, so that the 10 of a slow model come with a third of the bits asked for (that x264 could be told
    to mind their times, but then holds one back). Here each picture has the bits of the time since the last one.
    """

    options: ClassVar = {"level": "31", "tune": "zerolatency", "preset": "superfast", "x264-params": "vbv-init=0.5"}
    """Of x264."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: float | None = None
        self._made_for = 0

    def _encode_frame(self, frame: VideoFrame, force_keyframe: bool) -> Iterator[bytes]:
        if self.codec is None or not self._suits(self.codec, frame):
            self.codec, self._made_for = self._new_codec(frame), self.target_bitrate
        # x264 takes another one up between two pictures
        self.codec.bit_rate = round(self.target_bitrate * h264.MAX_FRAME_RATE * self._share(frame))
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        data = b"".join(bytes(packet) for packet in self.codec.encode(frame))
        if data:
            yield from self._split_bitstream(data)

    def _share(self, frame: VideoFrame) -> float:
        """Seconds whose bits this picture gets."""
        assert frame.pts is not None and frame.time_base is not None
        last, self._shown = self._shown, float(frame.pts * frame.time_base)
        if last is None:
            return 1 / h264.MAX_FRAME_RATE
        return min(max(self._shown - last, SHORTEST_SHARE), LONGEST_SHARE)

    def _suits(self, codec: VideoCodecContext, frame: VideoFrame) -> bool:
        # Each begin costs a keyframe, and the buffer is made for one bitrate.
        off = abs(self.target_bitrate - self._made_for) / self._made_for
        return (codec.width, codec.height) == (frame.width, frame.height) and off <= MOST_OFF

    def _new_codec(self, frame: VideoFrame) -> VideoCodecContext:
        codec = CodecContext.create("libx264", "w")
        codec.width, codec.height = frame.width, frame.height
        codec.pix_fmt = "yuv420p"
        codec.framerate = Fraction(h264.MAX_FRAME_RATE, 1)
        codec.time_base = VIDEO_TIME_BASE
        # x264 takes no bitrate up later that is above the first one; equal bounds have it keep to each
        codec.bit_rate = round(self.target_bitrate * h264.MAX_FRAME_RATE * LONGEST_SHARE)
        bounds = {"maxrate": str(codec.bit_rate), "bufsize": str(round(self.target_bitrate * BUFFER_SECONDS))}
        codec.options = self.options | bounds
        codec.thread_count = vpx.number_of_threads(frame.width * frame.height, CPUS)
        codec.profile = "Baseline"
        codec.open()
        return codec


class _BoundedDecoder(Decoder):
    """PyAV gives every decoder as many threads as there are processors; here all of them share a few."""

    codec: VideoCodecContext

    def __init__(self) -> None:
        super().__init__()
        # FFmpeg's own bound, should a picture be larger than its header says.
        self.codec.thread_count = 1
        self.codec.options = {"max_pixels": str(sizes.LARGEST_SIDE**2)}

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        with _decoding:
            return super().decode(encoded_frame)  # type: ignore[safe-super]


class BoundedH264Decoder(_BoundedDecoder, h264.H264Decoder):
    """An H.264 decoder with one thread, which holds to the largest size."""


class BoundedVp8Decoder(_BoundedDecoder, vpx.Vp8Decoder):
    """A VP8 decoder with one thread, which holds to the largest size."""


class EncodingPool:
    """The event loop as a sender sees it: what it runs beside the loop goes to a pool of its own.

    aiortc encodes on the loop's default executor, which address look-ups and file reads share.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor) -> None:
        self._loop = loop
        self._pool = pool

    def run_in_executor(self, _executor: None, function: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        """Run `function` in the pool; see `asyncio.loop.run_in_executor`."""
        return self._loop.run_in_executor(self._pool, function, *arguments)


def pool_encoding(peer: RTCPeerConnection, pool: ThreadPoolExecutor) -> None:
    """Have all that `peer` sends encoded in `pool`; call it once its tracks are added."""
    for sender in peer.getSenders():
        replace(sender, f"{SENDER}loop", EncodingPool(asyncio.get_running_loop(), pool))


def new_pool() -> ThreadPoolExecutor:
    """A thread a processor, for the encoders of all sessions."""
    return ThreadPoolExecutor(CPUS, "encoder")


def refresh(peer: RTCPeerConnection) -> None:
    """Make the next picture sent a keyframe: what a client saw before a pause may be lost to it."""
    for sender in peer.getSenders():
        if sender.kind == "video":
            sender._send_keyframe()
