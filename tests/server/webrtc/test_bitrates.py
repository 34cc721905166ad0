"""The bitrates asked for, in bytes that arrive at the other end over the loopback."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from aiortc import RTCRtpSender
from aiortc.stats import RTCTransportStats
from av import VideoFrame

from aiortc_fixes.privates import RECEIVER, replace
from server.config import ServerConfig
from server.webrtc.peer import Peer
from tests.patience import PATIENCE_SECONDS
from tests.server.world import CLOCK, Camera, RealViewer, running

pytestmark = pytest.mark.slow

LOW, HIGH = 400_000, 1_600_000
FPS = 15.0
"""As many pictures as the camera makes, and a machine with nothing else to do passes on."""


class BlotchyCamera(Camera):
    """Soft blotches, others in each picture: they take as many bits as they are given."""

    async def recv(self) -> VideoFrame:
        frame = await super().recv()
        small = np.random.default_rng(self._count).integers(40, 216, (30, 40, 3), np.uint8)
        large = cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC)
        blotchy = VideoFrame.from_ndarray(np.asarray(large, np.uint8), format="rgb24")
        blotchy.pts, blotchy.time_base = frame.pts, CLOCK
        return blotchy


class WidePath:
    """An estimator of a receiver that always finds 20 Mbit/s."""

    def __init__(self) -> None:
        self._packets = 0

    def add(
        self, abs_send_time: int, arrival_time_ms: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        self._packets += 1
        return (20_000_000, [ssrc]) if self._packets % 10 == 0 else None


async def received(viewer: RealViewer) -> int:
    """Bytes that came to a viewer so far, of all that its transport carries."""
    (receiver,) = (one for one in viewer.peer.getReceivers() if one.track.kind == "video")
    report = await receiver.getStats()
    return sum(one.bytesReceived for one in report.values() if isinstance(one, RTCTransportStats))


async def show(viewer: RealViewer, seconds: float) -> None:
    """Wait for as many pictures as the camera makes in `seconds`."""
    wanted = viewer.spoiled + seconds * FPS
    await viewer.until(lambda: viewer.spoiled >= wanted, 3 * PATIENCE_SECONDS)


async def measured(
    config: ServerConfig, codec: str, *, settle: float, seconds: float, wide: bool = False
) -> tuple[float, float]:
    """Bits a second that arrive in so many seconds' pictures, after those of `settle`; and which share of them did."""
    async with running(config, make_peer=Peer) as world:
        await world.ready()
        viewer = RealViewer(world.http)
        (sender,) = (one for one in viewer.peer.getSenders() if one.kind == "video")
        sender.replaceTrack(BlotchyCamera())
        wanted = [one for one in RTCRtpSender.getCapabilities("video").codecs if one.mimeType == codec]
        next(one for one in viewer.peer.getTransceivers() if one.kind == "video").setCodecPreferences(wanted)
        assert (await viewer.connect()).status_code == 201
        # Blotches are no barcode.
        await viewer.until(lambda: viewer.spoiled > 0)
        if wide:
            (receiver,) = (one for one in viewer.peer.getReceivers() if one.track.kind == "video")
            replace(receiver, f"{RECEIVER}remote_bitrate_estimator", WidePath())
        await show(viewer, settle)
        before, shown, began = await received(viewer), viewer.spoiled, time.monotonic()
        await show(viewer, seconds)
        took = time.monotonic() - began
        rate, fps = 8 * (await received(viewer) - before) / took, (viewer.spoiled - shown) / took
        await viewer.close()
        # Where few pictures come, an encoder that has just learned of it spends too little on each as well.
        return rate, min(1.0, fps / FPS)


async def test_the_first_seconds_have_the_bitrate_to_start_with() -> None:
    for start in (LOW, HIGH):
        config = ServerConfig(start_bitrate=start, min_bitrate=200_000, max_bitrate=4_000_000)
        rate, share = await measured(config, "video/VP8", settle=0.3, seconds=2.0)
        assert 0.5 * start * share**2 < rate < 1.5 * start


async def test_however_wide_the_path_no_more_than_the_greatest_bitrate_is_sent() -> None:
    for most in (LOW, HIGH):
        config = ServerConfig(start_bitrate=200_000, min_bitrate=200_000, max_bitrate=most)
        rate, share = await measured(config, "video/H264", settle=1.5, seconds=2.5, wide=True)
        assert 0.5 * most * share**2 < rate < 1.6 * most
