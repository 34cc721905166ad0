"""Somebody who only watches a session's output: a WebRTC peer that is sent the edited pictures and the sound."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiortc import RTCSessionDescription
from av import AudioFrame, VideoFrame

from aiortc_fixes import find_last_heard
from server.config import ServerConfig
from server.webrtc.media_lines import answer, line_to_send_on, new_connection, send_on, take
from server.webrtc.offers import Offer
from server.webrtc.outgoing_tracks import DelayedAudioTrack, OutputTrack
from server.webrtc.peer import CLOSE_SECONDS, Candidates, add_candidates
from server.webrtc.trickle import IceResource

logger = logging.getLogger(__name__)


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
        self.resource = IceResource(self._add_candidates)
        self._offer: Offer | None = None
        self._config = config
        self._encoding = encoding
        self._on_closed = on_closed
        self._opened_at = time.monotonic()
        self._closing: asyncio.Task[None] | None = None
        self._adding: set[asyncio.Task[None]] = set()
        self._output = OutputTrack(_nobody)
        self._sound = DelayedAudioTrack(video_delay)
        self._connection = new_connection(config)
        self._connection.on("connectionstatechange", self._on_state_change)

    async def answer(self, offer: Offer) -> RTCSessionDescription:
        """The answer to an offer of `take_watch_offer`."""
        self._offer = offer
        self.resource.begin(offer.text)
        await take(self._connection, offer)
        for track in (self._output, self._sound):
            way_back = line_to_send_on(self._connection, track.kind)
            if way_back is not None:
                send_on(way_back, track)
        return await answer(self._connection, offer, self._config, self._encoding)

    def show(self, frame: VideoFrame, arrived: float) -> None:
        """Send a picture; the newest where the way is slower."""
        self._output.push(frame, arrived)

    def hear(self, frame: AudioFrame, arrived: float) -> None:
        """Send a sound, as late as the pictures come."""
        self._sound.push(frame, arrived)

    def _add_candidates(self, candidates: Candidates) -> None:
        assert self._offer is not None
        routed = [self._offer.route(one) for one in candidates]
        task = asyncio.create_task(add_candidates(self._connection, routed))
        self._adding.add(task)
        task.add_done_callback(self._adding.discard)

    def tick(self) -> None:
        """End, once a second, with a watcher that is gone, or never came."""
        now, heard = time.monotonic(), find_last_heard(self._connection)
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

    def _on_state_change(self) -> None:
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
