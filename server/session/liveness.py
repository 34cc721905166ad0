"""A session's signs of life: when it should end, and how it does meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from server.config import ServerConfig
from server.session.session_stats import SessionStats
from server.session.states import Health


class Liveness:
    """What came last, and when; times are seconds of `clock`."""

    def __init__(self, config: ServerConfig, clock: Callable[[], float]) -> None:
        self.connected = False
        self._config = config
        self._clock = clock
        self._packets = self._oversized = 0
        self._huge = False
        self._opened_at = self._packet_at = self._picture_at = clock()

    def connect(self) -> None:
        """The connection came about: silence counts from now."""
        self.connected = True
        self._packet_at = self._picture_at = self._clock()

    def note_picture(self, now: float) -> None:
        """Note that a picture came."""
        self._picture_at = now

    def note_oversized(self, count: int) -> None:
        """Note how many pictures came so far that are too large to be decoded."""
        self._huge = count > self._oversized
        self._oversized = count

    def note_packets(self, count: int) -> None:
        """Note how many RTP packets of video came so far."""
        if count != self._packets:
            self._packets, self._packet_at = count, self._clock()

    def find_end_reason(self, heard: float | None) -> str:
        """Find why the session should end now; empty where it should not.

        `heard`: when anything at all last came from the client, seconds of the monotonic clock, None before it
        connected.
        """
        config, now = self._config, self._clock()
        if config.max_session_seconds is not None and now - self._opened_at > config.max_session_seconds:
            return "time_limit"
        if not self.connected:
            return "never_connected" if now - self._opened_at > config.connect_seconds else ""
        if heard is not None and time.monotonic() - heard > config.dead_seconds:
            return "silent"
        return "idle" if now - self._packet_at > config.idle_seconds else ""

    def silent_in(self, heard: float | None) -> float:
        """Tell in how many seconds to end unless the client is heard again; endless before it connected."""
        if heard is None or not self.connected:
            return math.inf
        return heard + self._config.dead_seconds - time.monotonic()

    def health(self, stats: SessionStats) -> Health:
        """Judge how the session does, with its numbers."""
        now = self._clock()
        fps_in, fps_out = stats.fps(now)
        return Health(
            since_packet=now - self._packet_at,
            since_picture=now - self._picture_at,
            fps_in=fps_in,
            fps_out=fps_out,
            failing=stats.failing,
            picture="huge_picture" if self._huge else stats.picture,
        )
