"""A session's connection without a network: what one end sends, the other has at once and unchanged."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal
from weakref import WeakValueDictionary

from aiortc import MediaStreamTrack, RTCIceCandidate, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from server.config import ServerConfig
from server.webrtc.answering_connection import Candidates
from server.webrtc.offers import Offer
from server.webrtc.outgoing_tracks import DelayedAudioTrack, OutputTrack
from server.webrtc.peer import PeerCounts, PeerEvents, SessionPeer
from server.webrtc.trickle import ufrag_of
from tests.server.webrtc.offering import Line, offer_of

BYTES_A_PICTURE = 1000


class WireChannel:
    """One end of a data channel."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.readyState: Literal["connecting", "open", "closed"] = "connecting"
        self.bufferedAmount = 0
        self.other: WireChannel | None = None
        self._listeners: dict[str, list[Callable[..., object]]] = {}

    def on(self, event: str, f: Callable[..., object]) -> None:
        self._listeners.setdefault(event, []).append(f)

    def send(self, data: str | bytes) -> None:
        assert self.readyState == "open" and self.other is not None
        asyncio.get_running_loop().call_soon(self.other.emit, "message", data)

    def emit(self, event: str, *given: object) -> None:
        for listener in self._listeners.get(event, []):
            listener(*given)

    def open(self) -> WireChannel:
        """Open it, and the other end, which is given back."""
        self.other = WireChannel(self.label)
        self.other.other = self
        self.readyState = self.other.readyState = "open"
        return self.other

    def close(self) -> None:
        for end in (self, self.other):
            if end is not None and end.readyState != "closed":
                end.readyState = "closed"
                end.emit("close")


class WireConnection:
    """The client's end, with those of `RTCPeerConnection`'s calls that the tests' clients use."""

    def __init__(self) -> None:
        self.connectionState = "new"
        self.ufrag = secrets.token_hex(8)
        self.silent_since: float | None = None
        """Since when nothing comes from here, not even a sign of life, seconds of the monotonic clock."""
        self.server: WirePeer | None = None
        self.tracks: list[MediaStreamTrack] = []
        self.channels: list[WireChannel] = []
        self._lines: list[Line] = []
        self._on_track: Callable[[MediaStreamTrack], object] = lambda track: None
        _CLIENTS[self.ufrag] = self

    def createDataChannel(self, label: str) -> WireChannel:
        self.channels.append(WireChannel(label))
        return self.channels[-1]

    def addTrack(self, track: MediaStreamTrack) -> None:
        self.addTransceiver(track, "sendrecv")

    def addTransceiver(self, what: MediaStreamTrack | str, direction: str = "sendrecv") -> None:
        self._lines.append(Line(what if isinstance(what, str) else what.kind, direction))
        if not isinstance(what, str):
            self.tracks.append(what)

    def on(self, event: str, f: Callable[[MediaStreamTrack], object]) -> None:
        assert event == "track"
        self._on_track = f

    async def createOffer(self) -> RTCSessionDescription:
        lines = [*self._lines, *(Line("application") for _ in self.channels[:1])]
        return RTCSessionDescription(offer_of([replace(one, ufrag=self.ufrag) for one in lines]), "offer")

    async def setLocalDescription(self, description: RTCSessionDescription) -> None:
        self.localDescription = description

    async def setRemoteDescription(self, description: RTCSessionDescription) -> None:
        assert description.type == "answer" and self.server is not None
        if self.connectionState == "new":
            self.connectionState = "connected"
            for track in self.server.sent:
                self._on_track(track)
            self.server.connect(self)

    async def close(self) -> None:
        if self.connectionState == "closed":
            return
        self.end()
        if self.server is not None:
            self.server.leave()

    def end(self) -> None:
        """The other end is gone."""
        self.connectionState = "closed"
        for channel in self.channels:
            channel.close()
        for track in self.tracks:
            track.stop()


_CLIENTS: WeakValueDictionary[str, WireConnection] = WeakValueDictionary()
"""Whose offers there are, by their ICE user fragments."""


class WirePeer(SessionPeer):
    """The server's end, which a session is given in place of a `Peer`."""

    def __init__(
        self,
        config: ServerConfig,
        events: PeerEvents,
        encoding: ThreadPoolExecutor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refreshed = 0
        self.candidates: list[RTCIceCandidate] = []
        self._events = events
        self._clock = clock
        self._client: WireConnection | None = None
        self._output: OutputTrack | None = None
        self._sound: DelayedAudioTrack | None = None
        self._way_back: set[str] = set()
        self._received = self._sent = 0
        self._readers: list[asyncio.Task[None]] = []

    async def answer(self, offer: Offer) -> RTCSessionDescription:
        self._client = _CLIENTS.get(ufrag_of(offer.text) or "")
        sending = {one.kind for one in offer.lines if one.direction in ("sendrecv", "sendonly")}
        self._way_back = {one.kind for one in offer.lines if one.direction in ("sendrecv", "recvonly")}
        if "video" in self._way_back:
            self._output = OutputTrack(self._note_sent, self._clock)
        if "audio" in sending:
            self._sound = DelayedAudioTrack(self._events.video_delay, self._clock)
        if self._client is not None:
            self._client.server = self
        return RTCSessionDescription(offer.text, "answer")

    @property
    def sent(self) -> list[MediaStreamTrack]:
        """The tracks that go to the client."""
        return [one for one in (self._output, self._sound) if one is not None and one.kind in self._way_back]

    def connect(self, client: WireConnection) -> None:
        """The client has the answer."""
        self._events.on_connection_change("connected")
        for channel in client.channels:
            self._events.on_channel(channel.open())
        self._readers += [asyncio.create_task(self._read(track)) for track in client.tracks]

    def leave(self) -> None:
        """The client has closed its end."""
        self._events.on_connection_change("closed")

    @property
    def returns_video(self) -> bool:
        return self._output is not None

    @property
    def has_sound(self) -> bool:
        return self._sound is not None

    def send(self, frame: VideoFrame, arrived: float) -> bool:
        return self._output is not None and self._output.push(frame, arrived)

    def find_last_heard(self) -> float | None:
        if self._client is None or not self._readers:
            return None
        return time.monotonic() if self._client.silent_since is None else self._client.silent_since

    def refresh(self) -> None:
        self.refreshed += 1

    async def count(self) -> PeerCounts:
        return PeerCounts(BYTES_A_PICTURE * self._sent, self._received)

    def add_candidates(self, candidates: Candidates) -> None:
        self.candidates += candidates

    async def close(self) -> None:
        for track in (self._output, self._sound):
            if track is not None:
                track.stop()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        if self._client is not None:
            self._client.end()

    def _note_sent(self, age: float) -> None:
        self._sent += 1
        self._events.on_picture_sent(age)

    async def _read(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                self._take(await track.recv())

    def _take(self, frame: Any) -> None:
        if isinstance(frame, AudioFrame):
            assert self._sound is not None
            self._sound.push(frame, self._clock())
            self._events.on_sound(frame)
        elif isinstance(frame, VideoFrame):
            self._received += 1
            # As a codec's pictures are.
            self._events.on_picture(frame.reformat(format="yuv420p"))
