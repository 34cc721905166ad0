"""Somebody who only watches a session's output: a WebRTC peer that is sent the edited pictures and the sound."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame

from server.aiortc_fixes import gathering, heard_at, pool_encoding, wait_for_checks
from server.config import ServerConfig
from server.media import DelayedAudioTrack, OutputTrack
from server.offers import bad_sdp
from server.peer import CLOSE_SECONDS, Candidates, add_candidates, checked_answer, ice_servers
from server.trickle import ufrag_of

logger = logging.getLogger(__name__)


def _nobody(age: float) -> None:
    """The age of a watcher's pictures is that of the session's own."""


class Watcher:
    """One who watches. `on_closed` is called once, when the connection has ended by itself or by `close`."""

    def __init__(
        self,
        config: ServerConfig,
        encoding: ThreadPoolExecutor,
        video_delay: Callable[[float], float | None],
        on_closed: Callable[[Watcher], None],
    ) -> None:
        self.secret = secrets.token_urlsafe(24)
        self.etag = f'"{secrets.token_hex(8)}"'
        self.ufrag: str | None = None
        self._config = config
        self._encoding = encoding
        self._on_closed = on_closed
        self._opened_at = time.monotonic()
        self._closing: asyncio.Task[None] | None = None
        self._adding: set[asyncio.Task[None]] = set()
        self._output = OutputTrack(_nobody)
        self._sound = DelayedAudioTrack(video_delay)
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=ice_servers(config)))
        self._connection.on("connectionstatechange", self._state_changed)

    async def answer(self, offer: str) -> RTCSessionDescription:
        """The answer to an offer that passed `check_watch_offer`."""
        self.ufrag = ufrag_of(offer)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(wait_for_checks(offer), "offer"))
        except Exception as error:  # aiortc raises whatever the text leads it into
            raise bad_sdp(str(error) or type(error).__name__) from error
        offered = {one.kind for one in self._connection.getTransceivers()}
        for track in (self._output, self._sound):
            if track.kind in offered:
                self._connection.addTrack(track)
        pool_encoding(self._connection, self._encoding)
        with gathering(self._config.udp_ports, self._config.gather_seconds):
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        return checked_answer(self._connection)

    def show(self, frame: VideoFrame, arrived: float) -> None:
        """Send a picture; the newest where the way is slower."""
        self._output.push(frame, arrived)

    def hear(self, frame: AudioFrame, arrived: float) -> None:
        """Send a sound, as late as the pictures come."""
        self._sound.push(frame, arrived)

    def add_candidates(self, candidates: Candidates) -> None:
        """Take addresses that the watcher found after its offer."""
        task = asyncio.create_task(add_candidates(self._connection, candidates))
        self._adding.add(task)
        task.add_done_callback(self._adding.discard)

    def tick(self) -> None:
        """Once a second: end with a watcher that is gone, or never came."""
        now, heard = time.monotonic(), heard_at(self._connection)
        if heard is None:
            gone = now - self._opened_at > self._config.connect_seconds
        else:
            gone = now - heard > self._config.dead_seconds
        if gone:
            self.close()

    def close(self) -> asyncio.Task[None]:
        """Begin to end the connection; the task ends when everything is freed. Safe to call again."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        return self._closing

    def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self.close()

    async def _close(self) -> None:
        self._connection.remove_all_listeners()
        for task in self._adding:
            task.cancel()
        self._output.stop()
        self._sound.stop()
        try:
            await asyncio.wait_for(self._connection.close(), CLOSE_SECONDS)
        except TimeoutError:
            logger.warning("A watcher's connection did not close within %g s", CLOSE_SECONDS)
        self._on_closed(self)
