"""How large a picture will be is read from its header, and one that is too large is never decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable

import av
import numpy as np
import pytest
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import CodecContext, VideoFrame
from av.video.codeccontext import VideoCodecContext

from aiortc_fixes import codecs, sizes
from aiortc_fixes.queues import EncodedQueue
from server.session.states import Health, State
from tests.server.world import CLOCK


def encoded(name: str, width: int, height: int) -> bytes:
    """A key frame as an encoder makes it."""
    codec = CodecContext.create({"VP8": "libvpx", "H264": "libx264"}[name], "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuv420p", CLOCK
    codec.options = {"tune": "zerolatency", "preset": "ultrafast"} if name == "H264" else {"deadline": "realtime"}
    frame = VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), format="rgb24").reformat(
        format="yuv420p"
    )
    frame.pts, frame.time_base = 0, CLOCK
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def huge_vp8(width: int = 16_000, height: int = 16_000) -> bytes:
    """The begin of a key frame of that size; what follows does not matter."""
    data = bytearray(encoded("VP8", 64, 64))
    data[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return bytes(data)


def huge_h264() -> bytes:
    """Parameters for 16,000 by 16,000, of which 64 by 64 are shown, as ITU-T H.264 writes them, after smaller ones."""
    bits = f"{66:08b}{0:08b}{51:08b}" + "".join(golomb(one) for one in (0, 0, 2, 1)) + "0"
    bits += golomb(999) + golomb(999) + "1" + "1"
    bits += "1" + golomb(0) + golomb(7968) + golomb(0) + golomb(7968) + "0" + "1"
    bits += "0" * (-len(bits) % 8)
    unit = bytes([0x67]) + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return encoded("H264", 64, 64) + b"\0\0\0\x01" + unit


def golomb(number: int) -> str:
    code = f"{number + 1:b}"
    return "0" * (len(code) - 1) + code


HUGE: dict[str, Callable[[], bytes]] = {"VP8": huge_vp8, "H264": huge_h264}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_too_large_never_comes_to_the_decoder_and_no_more_is_asked_for(name: str) -> None:
    lost = threading.Event()
    queue = EncodedQueue(30, lost, video=True)
    codec = RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90000, payloadType=96)
    good, huge = encoded(name, 64, 64), HUGE[name]()
    following = b"\x01" + bytes(20) if name == "VP8" else b"\0\0\0\x01\x41" + bytes(20)
    for data in (good, huge, following, following, good, following):
        queue.put((codec, JitterFrame(data=data, timestamp=0)))
    assert (queue.qsize(), queue.oversized, queue.discarded) == (3, 3, 0)
    assert [queue.get()[1].data for _ in range(3)] == [good, good, following]
    assert not lost.is_set(), "the next key frame would be as large"


def test_how_much_is_too_large_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "LARGEST_SIDE", sizes.LARGEST_SIDE)
    assert not sizes.is_too_large("VP8", huge_vp8(4096, 4096)) and sizes.is_too_large("VP8", huge_vp8(16, 4097))
    codecs.set_largest_side(1000)
    assert sizes.is_too_large("VP8", huge_vp8(16, 1001)) and not sizes.is_too_large("VP8", huge_vp8(1000, 1000))


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\x01", b"\0\0\x01\x67", b"\0\0\x01\x67" + bytes(40), b"\xff" * 99])
def test_what_is_no_header_says_nothing(data: bytes) -> None:
    assert not any(sizes.is_too_large(name, data) for name in ("VP8", "H264", "opus"))


def test_ffmpeg_itself_refuses_what_a_header_hid() -> None:
    decoder = codecs.BoundedH264Decoder()
    data = encoded("H264", 4096, 4112)
    with pytest.raises(av.FFmpegError):
        decoder.codec.decode(av.Packet(data))


def test_a_session_says_that_its_pictures_are_too_large() -> None:
    seen = Health(since_packet=0.1, since_picture=9.0, fps_in=0.0, fps_out=0.0, failing=0.0, picture="huge_picture")
    assert seen.judge() == (State.DEGRADED_INPUT, "huge_picture")
