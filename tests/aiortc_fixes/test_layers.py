"""Clients that send several pictures at once, or begin anew: the largest is decoded cleanly, the others are counted."""

from __future__ import annotations

from fractions import Fraction
from itertools import count

import av
import numpy as np
import pytest
from aiortc.codecs import get_capabilities, get_encoder, vpx
from aiortc.codecs.h264 import h264_depayload
from aiortc.rtp import HeaderExtensionsMap, RtcpByePacket, RtpPacket
from av import VideoFrame

from aiortc_fixes.sizes import picture_size
from server.webrtc.peer import Peer
from tests.patience import until
from tests.server.world import CLOCK, RealViewer, World, running

OTHER = 4_242


def noise(width: int, height: int, number: int = 0) -> VideoFrame:
    pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
    frame = VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts, frame.time_base = 3000 * number, CLOCK
    return frame


@pytest.mark.parametrize("size", [(64, 48), (320, 240), (324, 244), (1280, 720), (1920, 1080), (90, 160)])
def test_the_size_is_read_without_decoding(size: tuple[int, int]) -> None:
    vp8 = b"".join(vpx.vp8_depayload(one) for one in vpx.Vp8Encoder().encode(noise(*size))[0])
    assert picture_size("VP8", vp8) == size
    for profile, pix_fmt in (
        ("baseline", "yuv420p"),
        ("high", "yuv420p"),
        ("high422", "yuv422p"),
        ("high444", "yuv444p"),
    ):
        for more in ({}, {"x264-params": "interlaced=1:cqm=jvt"}):
            if more and profile == "baseline":
                continue
            codec = av.CodecContext.create("libx264", "w")
            assert isinstance(codec, av.VideoCodecContext)
            codec.width, codec.height = size
            codec.pix_fmt, codec.time_base = pix_fmt, Fraction(1, 30)
            codec.options = {"profile": profile, "preset": "ultrafast", "tune": "zerolatency", **more}
            data = b"".join(bytes(one) for one in codec.encode(noise(*size).reformat(format=pix_fmt)))
            assert picture_size("H264", data) == size, (profile, more)


def test_what_states_no_size_has_none() -> None:
    encoder = vpx.Vp8Encoder()
    encoder.encode(noise(64, 64))
    delta = b"".join(vpx.vp8_depayload(one) for one in encoder.encode(noise(64, 64, 1))[0])
    assert picture_size("VP8", delta) is None
    for data in (b"", b"\x00", b"\x00\x00\x01\x67", b"\x00\x00\x01\x67" + b"\x00" * 40, b"\x00\x00\x01\x65\x88"):
        assert picture_size("VP8", data) is None
        assert picture_size("H264", data) is None
    assert h264_depayload(b"\x41\x00")[4:] == b"\x41\x00"


class Layer:
    """A second stream of a viewer's video, on an SSRC of its own that no SDP names."""

    def __init__(self, viewer: RealViewer, width: int, height: int, ssrc: int = OTHER) -> None:
        self._sender = viewer.peer.getSenders()[0]
        self._size = (width, height)
        self._ssrc = ssrc
        self._number = 60_000
        codec = viewer.peer.getTransceivers()[0]._codecs[0]
        assert codec.payloadType is not None
        self._payload_type = codec.payloadType
        self._encoder = get_encoder(codec)
        self._time = 3_000_000_000

    async def send(self, frame: VideoFrame, *, anew: bool = False) -> None:
        small = frame.reformat(*self._size)
        small.pts, small.time_base = frame.pts, frame.time_base
        payloads, time = self._encoder.encode(small, anew)
        for payload in payloads:
            packet = RtpPacket(
                payload_type=self._payload_type,
                sequence_number=self._number % 65536,
                timestamp=(self._time + time) % 2**32,
                ssrc=self._ssrc,
                marker=int(payload is payloads[-1]),
                payload=payload,
            )
            self._number += 1
            await self._sender.transport._send_rtp(packet.serialize(HeaderExtensionsMap()))


async def numbers(world: World, viewer: RealViewer) -> dict[str, object]:
    answer: dict[str, object] = (await world.http.get(f"{viewer.url}/stats")).json()
    return answer


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_of_several_layers_the_largest_is_edited_and_the_others_are_counted(codec: str) -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        viewer = RealViewer(world.http)
        line = viewer.peer.getTransceivers()[0]
        line.setCodecPreferences([one for one in get_capabilities("video").codecs if one.name == codec])
        assert (await viewer.connect()).status_code == 201
        await viewer.see(1)
        other = Layer(viewer, 96, 64)
        for number in range(15):
            await other.send(noise(96, 64, number))
            await viewer.see(1)
        told = await numbers(world, viewer)
        assert (told["width"], told["height"]) == (320, 240), "of the camera"
        assert not viewer.spoiled
        assert told["frames_failed"] == 0
        await until_dropped(world)
        await viewer.close()


async def until_dropped(world: World) -> None:
    async def are_ten() -> bool:
        lines = (await world.http.get("/metrics")).text.splitlines()
        told = [one.split()[-1] for one in lines if one.startswith('rigid_live_frames_dropped_total{reason="layer"}')]
        return bool(told) and float(told[0]) >= 10

    await until(are_ten)


async def test_a_larger_layer_that_comes_later_takes_over() -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        async with world.real_viewer() as viewer:
            other = Layer(viewer, 960, 720)
            await sent_until(world, viewer, other, 960)


async def sent_until(world: World, viewer: RealViewer, layer: Layer, width: int) -> None:
    """Send a layer until its pictures, of that width, are what is edited."""
    sent = count()

    async def comes() -> bool:
        number = next(sent)
        await layer.send(noise(320, 240, number), anew=number % 10 == 0)
        return (await numbers(world, viewer))["width"] == width

    await until(comes)


async def say_goodbye(viewer: RealViewer) -> None:
    for sender in viewer.peer.getSenders():
        await sender.transport._send_rtp(bytes(RtcpByePacket(sources=[sender._ssrc])))


async def test_a_goodbye_ends_nothing_where_the_video_goes_on() -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        async with world.real_viewer(microphone=True) as viewer:
            await until(lambda: len(viewer.sounds) > 3)
            camera, microphone = (sender.track for sender in viewer.peer.getSenders())
            for sender in viewer.peer.getSenders():
                sender.replaceTrack(None)
            await say_goodbye(viewer)
            await viewer.until(lambda: any(one["state"] == "paused" for one in viewer.said("state")))
            heard = len(viewer.sounds)
            for sender, track in zip(viewer.peer.getSenders(), (camera, microphone), strict=True):
                sender.replaceTrack(track)
            await viewer.see(5)
            await viewer.until(lambda: viewer.said("state")[-1]["state"] == "live")
            await viewer.until(lambda: len(viewer.sounds) > heard + 5)


async def test_another_ssrc_goes_on_after_a_goodbye() -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        async with world.real_viewer() as viewer:
            viewer.peer.getSenders()[0].replaceTrack(None)
            await say_goodbye(viewer)
            other = Layer(viewer, 96, 64)
            await sent_until(world, viewer, other, 96)
