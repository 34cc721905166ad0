"""Connections that do not hold a server up: deadlines for what is half sent, and a bound to their number.

uvicorn itself waits for ever for the rest of a request's headers or body, and takes connections until the process has
no descriptors left.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from rigid.operating_system import raise_descriptor_limit

logger = logging.getLogger(__name__)

HEADER_SECONDS = 10.0
WHOLE_BODY_SECONDS = 75.0
"""A little longer than what is read from a body piece by piece may take, so that it is answered."""
MOST_DESCRIPTORS = 65_536
MOST_CONNECTIONS = 1024
DESCRIPTORS_EACH = 4
"""Of the descriptors, connections get one in so many: sessions have sockets and files of their own."""


def make_room_for_connections() -> int:
    """Allow this process all the descriptors that it may have, within reason; how many connections go with them."""
    allowed = raise_descriptor_limit(MOST_DESCRIPTORS)
    return MOST_CONNECTIONS if allowed is None else min(MOST_CONNECTIONS, allowed // DESCRIPTORS_EACH)


def guard_protocol(
    most: int, header_seconds: float = HEADER_SECONDS, body_seconds: float = WHOLE_BODY_SECONDS
) -> type[GuardedProtocol]:
    """Make uvicorn's protocol one for at most so many connections, with these deadlines."""
    limits = {"most": most, "header_seconds": header_seconds, "body_seconds": body_seconds}
    return type("GuardedProtocol", (GuardedProtocol,), limits)


class GuardedProtocol(H11Protocol):
    """uvicorn's own HTTP protocol, given a set time for the headers and for the body of each request.

    Beyond `most` connections, the one that has kept the server waiting for its headers for longest is closed.
    """

    most = MOST_CONNECTIONS
    header_seconds = HEADER_SECONDS
    body_seconds = WHOLE_BODY_SECONDS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._phase = ""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._enter("headers")
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._enter("")
        super().connection_lost(exc)

    @property
    def waits_until(self) -> float | None:
        """Tell until when the headers of its next request are waited for; None where they are not."""
        return self._deadline.when() if self._deadline is not None and self._phase == "headers" else None

    def _look(self) -> None:
        theirs = self.conn.their_state
        if theirs is h11.SEND_BODY:
            self._enter("body")
        elif theirs is h11.IDLE and self.conn.trailing_data[0]:
            self._enter("headers")
        else:
            # between requests, uvicorn's own time limit holds
            self._enter("")

    def _enter(self, phase: str) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
        seconds = {"headers": self.header_seconds, "body": self.body_seconds}.get(phase)
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)

    def _make_room(self) -> None:
        waiting = [one for one in self.connections if isinstance(one, GuardedProtocol) and one.waits_until is not None]
        # the newest is among them, and goes where it is the only one
        oldest = min(waiting, key=lambda one: one.waits_until or 0.0)
        logger.warning("More than %d connections: one that keeps the server waiting is closed", self.most)
        self.connections.discard(oldest)
        oldest.transport.abort()
