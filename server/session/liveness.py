"""A session's signs of life: when it should end, and how it does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server.config import ServerConfig
from server.session.session_stats import SessionStats
from server.session.states import Health
from server.webrtc.peer import PeerCounts
from server.webrtc.silence import Silence

TICK_SECONDS = 1.0
"""How often a session is looked after."""
COARSE_SECONDS = 0.01
"""A timer may be as early as its clock is coarse."""


class Liveness:
    """Knows what came last and when, and has its session end in time.

    Times are seconds of `clock`, but for when the client was last heard, which is of the monotonic clock.
    """

    def __init__(
        self,
        config: ServerConfig,
        clock: Callable[[], float],
        find_last_heard: Callable[[], float | None],
        end: Callable[[str], object],
    ) -> None:
        """`find_last_heard`: when anything at all last came from the client, None before it connected.

        `end(reason)` is called each time that the session is found to be at its end.
        """
        self.connected = False
        self._config = config
        self._clock = clock
        self._find_last_heard = find_last_heard
        self._silence = Silence()
        self._end = end
        self._counts = PeerCounts()
        self._huge = False
        self._opened_at = self._packet_at = self._picture_at = clock()

    def connect(self) -> None:
        """The connection came about: silence counts from now."""
        self.connected = True
        self._packet_at = self._picture_at = self._clock()

    def note_picture(self, now: float) -> None:
        """Note that a picture came."""
        self._picture_at = now

    def note_counts(self, counts: PeerCounts) -> None:
        """Note whether packets came since the last look, and pictures that are too large to be decoded."""
        self._huge = counts.oversized > self._counts.oversized
        if counts.packets_received != self._counts.packets_received:
            self._packet_at = self._clock()
        self._counts = counts

    def check(self) -> None:
        """End the session where nobody uses it any more, or it has gone on for long enough."""
        reason = self._find_end_reason()
        if reason:
            self._end(reason)

    def check_soon(self) -> None:
        """Check again at the moment at which a client that is gone is noticed, where that is within the second."""
        heard = self._find_last_heard()
        if heard is None:
            return
        silent_in = self._config.dead_seconds - self._silence.look(heard)
        if silent_in < TICK_SECONDS:
            asyncio.get_running_loop().call_later(silent_in + COARSE_SECONDS, self.check)

    def _find_end_reason(self) -> str:
        config, now = self._config, self._clock()
        if config.max_session_seconds is not None and now - self._opened_at > config.max_session_seconds:
            return "time_limit"
        if not self.connected:
            return "never_connected" if now - self._opened_at > config.connect_seconds else ""
        heard = self._find_last_heard()
        if heard is not None and self._silence.look(heard) > config.dead_seconds:
            return "silent"
        return "idle" if now - self._packet_at > config.idle_seconds else ""

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
