"""The WebRTC side of a session: what aiortc receives, drained at once, and what it sends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError
from aiortc.stats import RTCInboundRtpStreamStats, RTCOutboundRtpStreamStats
from av import AudioFrame, VideoFrame

from server.aiortc_fixes import bound_receiver, discarded, gathering, heard_at, pool_encoding, refresh, wait_for_checks
from server.config import ServerConfig
from server.errors import ApiError
from server.media import DelayedAudioTrack, OutputTrack
from server.offers import bad_sdp

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
Candidates = Sequence[RTCIceCandidate]


class PeerEvents(Protocol):
    """What happens at a peer; all called on the event loop."""

    def received(self, frame: VideoFrame) -> None:
        """A picture came."""

    def heard(self, frame: AudioFrame) -> None:
        """A sound came."""

    def sent(self, age: float) -> None:
        """A picture goes to the encoder, `age` seconds after it came."""

    def connection_changed(self, state: str) -> None:
        """The connection is now connected, failed or closed, or the video_ended."""

    def channel_opened(self, channel: RTCDataChannel) -> None:
        """The client opened a data channel."""

    def video_delay(self, now: float) -> float | None:
        """Seconds a picture takes through the server, None while unknown."""


class Peer:
    """One `RTCPeerConnection` that answers, and its tracks."""

    def __init__(
        self,
        config: ServerConfig,
        events: PeerEvents,
        encoding: ThreadPoolExecutor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._events = events
        self._encoding = encoding
        self._clock = clock
        self._output: OutputTrack | None = None
        self._sound: DelayedAudioTrack | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=ice_servers(config)))
        self._connection.on("track", self._add_track)
        self._connection.on("datachannel", events.channel_opened)
        self._connection.on("connectionstatechange", self._state_changed)

    async def answer(self, offer: str) -> RTCSessionDescription:
        """The answer to an offer that passed `check_offer`, with this side's candidates in it."""
        description = RTCSessionDescription(wait_for_checks(offer), "offer")
        try:
            await self._connection.setRemoteDescription(description)
        except Exception as error:  # aiortc raises whatever the text leads it into
            raise bad_sdp(str(error) or type(error).__name__) from error
        pool_encoding(self._connection, self._encoding)
        with gathering(self._config.udp_ports, self._config.gather_seconds):
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        return checked_answer(self._connection)

    @property
    def returns_video(self) -> bool:
        """Whether the client wants the edited video back; a WHIP client does not."""
        directions = [one.currentDirection for one in self._connection.getTransceivers() if one.kind == "video"]
        return any(one in ("sendrecv", "sendonly") for one in directions)

    @property
    def has_sound(self) -> bool:
        """Whether the client sends sound."""
        return self._sound is not None

    def send(self, frame: VideoFrame, arrived: float) -> bool:
        """Send a picture that came at `arrived`; True when one not yet sent gives way to it."""
        return self._output is not None and self._output.push(frame, arrived)

    def heard_at(self) -> float | None:
        """When anything last came from the client, seconds of the monotonic clock; None before it is connected."""
        return heard_at(self._connection)

    def refresh(self) -> None:
        """Make the next picture sent a keyframe."""
        refresh(self._connection)

    async def video_bytes(self) -> int:
        """Bytes of video sent so far, without what the network adds."""
        senders = [one for one in self._connection.getSenders() if one.kind == "video"]
        reports = [await sender.getStats() for sender in senders]
        counts = [one for report in reports for one in report.values() if isinstance(one, RTCOutboundRtpStreamStats)]
        return sum(one.bytesSent for one in counts)

    def add_candidates(self, candidates: Candidates) -> None:
        """Take addresses that the client found after its offer; names of mDNS are looked up meanwhile."""
        self._read(add_candidates(self._connection, candidates))

    async def video_packets(self) -> int:
        """RTP packets of video received so far."""
        # One that is not to receive anything has no track.
        receivers = [one for one in self._connection.getReceivers() if one.track and one.track.kind == "video"]
        reports = [await receiver.getStats() for receiver in receivers]
        # The transport's own count has RTCP and the data channel in it, which go on when the video stops.
        counts = [one for report in reports for one in report.values() if isinstance(one, RTCInboundRtpStreamStats)]
        return sum(one.packetsReceived for one in counts)

    def discarded(self) -> int:
        """Pictures of the client's that were left out so far because decoding or reading them fell behind."""
        return discarded(self._connection)

    async def close(self) -> None:
        """End the connection and its readers; safe to call twice."""
        self._connection.remove_all_listeners()
        try:
            await asyncio.wait_for(self._connection.close(), CLOSE_SECONDS)
        except TimeoutError:
            logger.warning("A connection did not close within %g s", CLOSE_SECONDS)
        for track in (self._output, self._sound):
            if track is not None:
                track.stop()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _add_track(self, track: MediaStreamTrack) -> None:
        bound_receiver(self._connection, track)
        if track.kind == "video" and self._output is None:
            self._output = OutputTrack(self._events.sent, self._clock)
            self._connection.addTrack(self._output)
            self._read(self._read_video(track))
        elif track.kind == "audio" and self._sound is None:
            self._sound = DelayedAudioTrack(self._events.video_delay, self._clock)
            self._connection.addTrack(self._sound)
            self._read(self._read_audio(track, self._sound))
        else:
            self._read(_discard(track))

    def _read(self, reading: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(reading)
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _read_video(self, track: MediaStreamTrack) -> None:
        """Take every picture at once, however slow the model: in aiortc's queue it would only grow old."""
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    self._events.received(frame)
        self._events.connection_changed("video_ended")

    async def _read_audio(self, track: MediaStreamTrack, sound: DelayedAudioTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    sound.push(frame, self._clock())
                    self._events.heard(frame)

    def _state_changed(self) -> None:
        self._events.connection_changed(self._connection.connectionState)


async def _discard(track: MediaStreamTrack) -> None:
    with contextlib.suppress(MediaStreamError):
        while True:
            await track.recv()


def checked_answer(connection: RTCPeerConnection) -> RTCSessionDescription:
    """The local description; ApiError 503 where it has no address at all in it."""
    answer = connection.localDescription
    if "a=candidate" not in answer.sdp:
        message = "No UDP port is free for the video."
        raise ApiError(503, "no_port", message, "Widen --udp-port-range.", {"Retry-After": "5"})
    return answer


async def add_candidates(connection: RTCPeerConnection, candidates: Candidates) -> None:
    """Take addresses that the other end found after its offer."""
    for one in candidates:
        try:
            await connection.addIceCandidate(one)
        except (ValueError, InvalidStateError) as error:
            logger.info("A candidate is of no use: %s", error)


def ice_servers(config: ServerConfig) -> list[RTCIceServer]:
    # An empty list, not None: aiortc takes None to mean Google's STUN server.
    return [RTCIceServer(one.url, one.username, one.credential) for one in config.relay.for_client()]
