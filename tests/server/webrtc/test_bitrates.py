"""The bitrates asked for, in bytes that arrive at the other end over the loopback."""

from __future__ import annotations

import pytest
from aiortc import RTCRtpSender
from aiortc.stats import RTCTransportStats
from av import VideoFrame

from aiortc_fixes.privates import RECEIVER, replace
from server.config import ServerConfig
from server.webrtc.peer import Peer
from tests.patience import PATIENCE_SECONDS
from tests.server.world import CLOCK, Camera, RealViewer, draw_blotches, running

pytestmark = pytest.mark.slow

LOW, HIGH = 400_000, 1_600_000
FPS = 15.0
"""As many pictures as the camera makes, and a machine with nothing else to do passes on."""


class BlotchyCamera(Camera):
    """Sends blotches, at times as if this machine were never late."""

    async def recv(self) -> VideoFrame:
        await super().recv()
        blotchy = VideoFrame.from_ndarray(draw_blotches(self.made), format="rgb24")
        blotchy.pts, blotchy.time_base = round(self.made / FPS / CLOCK), CLOCK
        return blotchy


class KnownPath:
    """An estimator of a receiver that always finds so many bits a second, or says nothing; pictures that a busy machine
    lets come late would tell it of a narrow path."""

    def __init__(self, found: int | None) -> None:
        self._found, self._packets = found, 0

    def add(
        self, abs_send_time: int, arrival_time_ms: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        self._packets += 1
        return (self._found, [ssrc]) if self._found and self._packets % 10 == 0 else None


async def received(viewer: RealViewer) -> int:
    """Bytes that came to a viewer so far, of all that its transport carries."""
    (receiver,) = (one for one in viewer.peer.getReceivers() if one.track.kind == "video")
    report = await receiver.getStats()
    return sum(one.bytesReceived for one in report.values() if isinstance(one, RTCTransportStats))


async def show(viewer: RealViewer, seconds: float) -> None:
    """Wait for as many pictures as the camera makes in `seconds`."""
    wanted = len(viewer.spoiled) + seconds * FPS
    await viewer.until(lambda: len(viewer.spoiled) >= wanted, 3 * PATIENCE_SECONDS)


async def measured(
    config: ServerConfig, codec: str, *, settle: float, seconds: float, path: int | None = None
) -> tuple[float, float]:
    """Bits a second of the video in so many seconds' pictures, after those of `settle`; and which share of them came.

    By its own time: on a busy machine pictures come late and then all at once.
    """
    async with running(config, make_peer=Peer) as world:
        await world.ready()
        viewer = RealViewer(world.http)
        (sender,) = (one for one in viewer.peer.getSenders() if one.kind == "video")
        sender.replaceTrack(BlotchyCamera())
        wanted = [one for one in RTCRtpSender.getCapabilities("video").codecs if one.mimeType == codec]
        next(one for one in viewer.peer.getTransceivers() if one.kind == "video").setCodecPreferences(wanted)
        assert (await viewer.connect()).status_code == 201
        (receiver,) = (one for one in viewer.peer.getReceivers() if one.track.kind == "video")
        replace(receiver, f"{RECEIVER}remote_bitrate_estimator", KnownPath(path))
        # Blotches are no barcode.
        await viewer.until(lambda: bool(viewer.spoiled))
        await show(viewer, settle)
        before, shown = await received(viewer), len(viewer.spoiled)
        await show(viewer, seconds)
        bits, times = 8 * (await received(viewer) - before), viewer.spoiled[shown - 1 :]
        took = times[-1] - times[0]
        await viewer.close()
        # Where few pictures come, an encoder that has just learned of it spends too little on each as well.
        return bits / took, min(1.0, (len(times) - 1) / took / FPS)


async def test_the_first_seconds_have_the_bitrate_to_start_with() -> None:
    for start in (LOW, HIGH):
        config = ServerConfig(start_bitrate=start, min_bitrate=200_000, max_bitrate=4_000_000)
        rate, share = await measured(config, "video/VP8", settle=0.3, seconds=2.0)
        assert 0.5 * start * share**2 < rate < 1.5 * start


async def test_however_wide_the_path_no_more_than_the_greatest_bitrate_is_sent() -> None:
    for most in (LOW, HIGH):
        config = ServerConfig(start_bitrate=200_000, min_bitrate=200_000, max_bitrate=most)
        rate, share = await measured(config, "video/H264", settle=1.5, seconds=2.5, path=20_000_000)
        assert 0.5 * most * share**2 < rate < 1.6 * most
