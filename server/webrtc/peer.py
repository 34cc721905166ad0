"""The WebRTC side of a session: what aiortc receives, drained at once, and what it sends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from aiortc import (
    MediaStreamTrack,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError
from aiortc.stats import RTCInboundRtpStreamStats, RTCOutboundRtpStreamStats
from av import AudioFrame, VideoFrame

from aiortc_fixes import bound_receiver, count_discarded, count_left_out, count_oversized, find_last_heard, refresh
from server.config import ServerConfig
from server.webrtc.media_lines import answer, line_to_receive, line_to_send_on, new_connection, send_on, take
from server.webrtc.offers import Offer
from server.webrtc.outgoing_tracks import DelayedAudioTrack, OutputTrack

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
Candidates = Sequence[RTCIceCandidate]


class DataChannel(Protocol):
    """What is used of a data channel."""

    @property
    def label(self) -> str:
        """What it is for."""

    @property
    def readyState(self) -> str:
        """connecting, open, closing or closed."""

    @property
    def bufferedAmount(self) -> int:
        """How many bytes wait to be sent."""

    def send(self, data: str) -> None:
        """Send a message."""

    def close(self) -> None:
        """Close it."""

    def on(self, event: str, f: Callable[[Any], object]) -> object:
        """Call `f` at each `event`; "message" comes with the message, str or bytes."""


class PeerEvents(Protocol):
    """What happens at a peer; all called on the event loop."""

    def on_picture(self, frame: VideoFrame) -> None:
        """A picture came."""

    def on_sound(self, frame: AudioFrame) -> None:
        """A sound came."""

    def on_picture_sent(self, age: float) -> None:
        """A picture goes to the encoder, `age` seconds after it came."""

    def on_connection_change(self, state: str) -> None:
        """The connection is now connected, failed or closed, or the video_ended."""

    def on_channel(self, channel: DataChannel) -> None:
        """The client opened a data channel."""

    def video_delay(self, now: float) -> float | None:
        """Seconds a picture takes through the server, None while unknown."""


class SessionPeer(Protocol):
    """The other end of a session, as the session knows it."""

    async def answer(self, offer: Offer) -> RTCSessionDescription:
        """The answer to an offer of `take_offer`, with this side's candidates in it."""

    @property
    def returns_video(self) -> bool:
        """Whether the client wants the edited video back; a WHIP client does not."""

    @property
    def has_sound(self) -> bool:
        """Whether the client sends sound."""

    def send(self, frame: VideoFrame, arrived: float) -> bool:
        """Send a picture that came at `arrived`; True when one not yet sent gives way to it."""

    def find_last_heard(self) -> float | None:
        """Find when anything last came from the client, seconds of the monotonic clock; None before it is connected."""

    def refresh(self) -> None:
        """Make the next picture sent a keyframe."""

    async def count_video_bytes(self) -> int:
        """Count bytes of video sent so far, without what the network adds."""

    async def count_video_packets(self) -> int:
        """Count RTP packets of video received so far."""

    def count_discarded(self) -> int:
        """Count the client's pictures that were left out so far because decoding or reading them fell behind."""

    def count_oversized(self) -> int:
        """Count the client's pictures that were left out so far because they are too large to be decoded."""

    def count_left_out(self) -> int:
        """Count pictures of smaller layers that came beside those taken."""

    def add_candidates(self, candidates: Candidates) -> None:
        """Take addresses that the client found after its offer; names of mDNS are looked up meanwhile."""

    async def close(self) -> None:
        """End the connection and its readers; safe to call twice."""


MakePeer = Callable[[ServerConfig, PeerEvents, ThreadPoolExecutor, Callable[[], float]], SessionPeer]


class Peer(SessionPeer):
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
        self._offer: Offer | None = None
        self._output: OutputTrack | None = None
        self._sound: DelayedAudioTrack | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._connection = new_connection(config)
        self._connection.on("datachannel", events.on_channel)
        self._connection.on("connectionstatechange", self._on_state_change)

    async def answer(self, offer: Offer) -> RTCSessionDescription:
        self._offer = offer
        await take(self._connection, offer)
        self._add_video()
        self._add_audio()
        return await answer(self._connection, offer, self._config, self._encoding)

    @property
    def returns_video(self) -> bool:
        directions = [one.currentDirection for one in self._connection.getTransceivers() if one.kind == "video"]
        return any(one in ("sendrecv", "sendonly") for one in directions)

    @property
    def has_sound(self) -> bool:
        return self._sound is not None

    def send(self, frame: VideoFrame, arrived: float) -> bool:
        return self._output is not None and self._output.push(frame, arrived)

    def find_last_heard(self) -> float | None:
        return find_last_heard(self._connection)

    def refresh(self) -> None:
        refresh(self._connection)

    async def count_video_bytes(self) -> int:
        senders = [one for one in self._connection.getSenders() if one.kind == "video"]
        reports = [await sender.getStats() for sender in senders]
        counts = [one for report in reports for one in report.values() if isinstance(one, RTCOutboundRtpStreamStats)]
        return sum(one.bytesSent for one in counts)

    def add_candidates(self, candidates: Candidates) -> None:
        assert self._offer is not None
        self._read(add_candidates(self._connection, [self._offer.route(one) for one in candidates]))

    async def count_video_packets(self) -> int:
        receivers = [one.receiver for one in self._connection.getTransceivers() if one.kind == "video"]
        reports = [await receiver.getStats() for receiver in receivers]
        # The transport's own count has RTCP and the data channel in it, which go on when the video stops.
        counts = [one for report in reports for one in report.values() if isinstance(one, RTCInboundRtpStreamStats)]
        return sum(one.packetsReceived for one in counts)

    def count_discarded(self) -> int:
        return count_discarded(self._connection)

    def count_oversized(self) -> int:
        return count_oversized(self._connection)

    def count_left_out(self) -> int:
        return count_left_out(self._connection)

    async def close(self) -> None:
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

    def _add_video(self) -> None:
        source = line_to_receive(self._connection, "video")
        assert source is not None, "an offer without video was refused"
        bound_receiver(self._connection, source.receiver.track)
        self._read(self._read_video(source.receiver.track))
        way_back = line_to_send_on(self._connection, "video", source)
        if way_back is not None:
            self._output = OutputTrack(self._events.on_picture_sent, self._clock)
            send_on(way_back, self._output)

    def _add_audio(self) -> None:
        source = line_to_receive(self._connection, "audio")
        if source is None:
            return
        bound_receiver(self._connection, source.receiver.track)
        self._sound = DelayedAudioTrack(self._events.video_delay, self._clock)
        self._read(self._read_audio(source.receiver.track, self._sound))
        way_back = line_to_send_on(self._connection, "audio", source)
        if way_back is not None:
            send_on(way_back, self._sound)

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
                    self._events.on_picture(frame)
        self._events.on_connection_change("video_ended")

    async def _read_audio(self, track: MediaStreamTrack, sound: DelayedAudioTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    sound.push(frame, self._clock())
                    self._events.on_sound(frame)

    def _on_state_change(self) -> None:
        self._events.on_connection_change(self._connection.connectionState)


async def add_candidates(connection: RTCPeerConnection, candidates: Candidates) -> None:
    """Take addresses that the other end found after its offer."""
    for one in candidates:
        try:
            await connection.addIceCandidate(one)
        except (ValueError, InvalidStateError) as error:
            logger.info("A candidate is of no use: %s", error)
