"""Somebody who only watches a session's output: a WebRTC peer that is sent the edited pictures and the sound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiortc import RTCSessionDescription
from av import AudioFrame, VideoFrame

from aiortc_fixes import find_last_heard
from server.config import ServerConfig
from server.webrtc.answering_connection import AnsweringConnection
from server.webrtc.offers import Offer
from server.webrtc.outgoing_tracks import DelayedAudioTrack, OutputTrack
from server.webrtc.silence import Silence
from server.webrtc.trickle import IceResource


def _nobody(age: float) -> None:
    """The age of a watcher's pictures is that of the session's own."""


class WhepPeer:
    """One viewer's connection. `on_closed` is called once, when the connection has ended by itself or by `close`."""

    def __init__(
        self,
        config: ServerConfig,
        encoding: ThreadPoolExecutor,
        video_delay: Callable[[float], float | None],
        on_closed: Callable[[WhepPeer], None],
    ) -> None:
        self._config = config
        self._on_closed = on_closed
        self._opened_at = time.monotonic()
        self._silence = Silence()
        self._closing: asyncio.Task[None] | None = None
        self._output = OutputTrack(_nobody)
        self._sound = DelayedAudioTrack(video_delay)
        self._connection = AnsweringConnection(config, encoding)
        self.resource = IceResource(self._connection.add_candidates)
        self._connection.peer.on("connectionstatechange", self._on_state_change)

    async def answer(self, offer: Offer) -> RTCSessionDescription:
        """The answer to an offer of `take_watch_offer`."""
        self.resource.begin(offer.text)
        await self._connection.take(offer)
        for track in (self._output, self._sound):
            self._connection.send(track)
        return await self._connection.answer()

    def show(self, frame: VideoFrame, arrived: float) -> None:
        """Send a picture; the newest where the way is slower."""
        self._output.push(frame, arrived)

    def hear(self, frame: AudioFrame, arrived: float) -> None:
        """Send a sound, as late as the pictures come."""
        self._sound.push(frame, arrived)

    def tick(self) -> None:
        """End, once a second, with a watcher that is gone, or never came."""
        heard = find_last_heard(self._connection.peer)
        if heard is None:
            gone = time.monotonic() - self._opened_at > self._config.connect_seconds
        else:
            gone = self._silence.look(heard) > self._config.dead_seconds
        if gone:
            self.close()

    def close(self) -> asyncio.Task[None]:
        """Begin to end the connection; the task ends when everything is freed. Safe to call again."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        return self._closing

    def _on_state_change(self) -> None:
        if self._connection.peer.connectionState in ("failed", "closed"):
            self.close()

    async def _close(self) -> None:
        self._output.stop()
        self._sound.stop()
        await self._connection.close()
        self._on_closed(self)
