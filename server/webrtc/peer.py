"""The WebRTC side of a session: what aiortc receives, drained at once, and what it sends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from aiortc import MediaStreamTrack, RTCRtpTransceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.stats import RTCInboundRtpStreamStats, RTCOutboundRtpStreamStats
from av import AudioFrame, VideoFrame

from aiortc_fixes import bound_receiver, count_discarded, count_left_out, count_oversized, find_last_heard, refresh
from server.config import ServerConfig
from server.webrtc.answering_connection import AnsweringConnection, Candidates
from server.webrtc.offers import Offer
from server.webrtc.outgoing_tracks import DelayedAudioTrack, OutputTrack


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


@dataclass(frozen=True)
class PeerCounts:
    """What a peer counts of its video from the begin on."""

    bytes_sent: int = 0
    """Without what the network adds."""
    packets_received: int = 0
    """Of RTP."""
    undecoded: int = 0
    """The client's pictures that were left out because decoding or reading them fell behind."""
    oversized: int = 0
    """Those that were left out because they are too large to be decoded."""
    of_other_layers: int = 0
    """Those of smaller layers, which came beside those taken."""


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

    async def count(self) -> PeerCounts:
        """Count what went over the connection, and what was left out, so far."""

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
        self._events = events
        self._clock = clock
        self._output: OutputTrack | None = None
        self._sound: DelayedAudioTrack | None = None
        self._connection = AnsweringConnection(config, encoding)
        self._peer = self._connection.peer
        self._peer.on("datachannel", events.on_channel)
        self._peer.on("connectionstatechange", self._on_state_change)

    async def answer(self, offer: Offer) -> RTCSessionDescription:
        await self._connection.take(offer)
        self._add_video()
        self._add_audio()
        return await self._connection.answer()

    @property
    def returns_video(self) -> bool:
        return any(one.currentDirection in ("sendrecv", "sendonly") for one in self._lines())

    @property
    def has_sound(self) -> bool:
        return self._sound is not None

    def send(self, frame: VideoFrame, arrived: float) -> bool:
        return self._output is not None and self._output.push(frame, arrived)

    def find_last_heard(self) -> float | None:
        return find_last_heard(self._peer)

    def refresh(self) -> None:
        refresh(self._peer)

    async def count(self) -> PeerCounts:
        reports = [await one.sender.getStats() for one in self._lines()]
        reports += [await one.receiver.getStats() for one in self._lines()]
        counts = [one for report in reports for one in report.values()]
        # The transport's own count has RTCP and the data channel in it, which go on when the video stops.
        return PeerCounts(
            sum(one.bytesSent for one in counts if isinstance(one, RTCOutboundRtpStreamStats)),
            sum(one.packetsReceived for one in counts if isinstance(one, RTCInboundRtpStreamStats)),
            count_discarded(self._peer),
            count_oversized(self._peer),
            count_left_out(self._peer),
        )

    def add_candidates(self, candidates: Candidates) -> None:
        self._connection.add_candidates(candidates)

    async def close(self) -> None:
        await self._connection.close()
        for track in (self._output, self._sound):
            if track is not None:
                track.stop()

    def _lines(self) -> list[RTCRtpTransceiver]:
        return [one for one in self._peer.getTransceivers() if one.kind == "video"]

    def _add_video(self) -> None:
        source = self._connection.receive("video")
        assert source is not None, "an offer without video was refused"
        bound_receiver(self._peer, source.receiver.track)
        self._connection.begin(self._read_video(source.receiver.track))
        output = OutputTrack(self._events.on_picture_sent, self._clock)
        if self._connection.send(output, source):
            self._output = output

    def _add_audio(self) -> None:
        source = self._connection.receive("audio")
        if source is None:
            return
        bound_receiver(self._peer, source.receiver.track)
        self._sound = DelayedAudioTrack(self._events.video_delay, self._clock)
        self._connection.begin(self._read_audio(source.receiver.track, self._sound))
        self._connection.send(self._sound, source)

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
        self._events.on_connection_change(self._peer.connectionState)
