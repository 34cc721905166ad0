"""Makes an app a server that listens."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from server.access.connection_limits import guard_protocol, make_room_for_connections
from server.access.middleware import AnswerAtTheEnd
from server.session.manager import SessionManager
from server.tls import CertificateFiles, Renewal

logger = logging.getLogger(__name__)

GRACE_SECONDS = 3


class DrainingServer(uvicorn.Server):
    """Takes no new sessions after SIGTERM and gives those that run some time; SIGINT, or a second one, ends at once."""

    def __init__(
        self, config: uvicorn.Config, manager: SessionManager, seconds: float, certificate: Renewal | None = None
    ) -> None:
        super().__init__(config)
        self._certificate = certificate
        self._renewing: asyncio.Task[None] | None = None
        self._manager = manager
        self._admission = manager.admission
        self._seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        if self._certificate is not None and self.config.ssl is not None:
            self._renewing = asyncio.create_task(self._certificate.keep(self.config.ssl))
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and self._loop is not None and self._seconds > 0 and not self._admission.draining:
            self._admission.draining = True
            self._loop.call_soon_threadsafe(self._begin_draining)
        else:
            super().handle_exit(sig, frame)

    def _begin_draining(self) -> None:
        self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        count = len(list(self._manager.sessions))
        sessions = "1 session has" if count == 1 else f"{count} sessions have"
        logger.warning("Draining: no new sessions are taken, and %s %g s to end", sessions, self._seconds)
        await self._manager.drain(self._seconds)
        self.should_exit = True


def run(
    app: FastAPI,
    listener: socket.socket,
    files: CertificateFiles | None,
    log_level: str = "warning",
    drain_seconds: float = 0.0,
    renew: Callable[[], object] = lambda: None,
    grace_seconds: int = GRACE_SECONDS,
) -> None:
    """Serve until SIGINT or SIGTERM, then end the sessions and return; after SIGTERM they have `drain_seconds`.

    `renew`: makes new `files` where that is due; called now and then, on a thread. `grace_seconds`: what requests have
    that were being answered.
    """
    config = uvicorn.Config(
        AnswerAtTheEnd(app),
        ssl_certfile=None if files is None else files.certificate,
        ssl_keyfile=None if files is None else files.key,
        log_level=log_level,
        server_header=False,
        # Never what an extra happens to bring: the media were made for, and tried with, asyncio's own loop.
        loop="asyncio",
        http=guard_protocol(make_room_for_connections()),
        # the program's own, which keeps secrets
        log_config=None,
        ws="none",
        timeout_graceful_shutdown=grace_seconds,
    )
    with suppress(KeyboardInterrupt):
        certificate = None if files is None else Renewal(files, renew)
        DrainingServer(config, app.state.manager, drain_seconds, certificate).run(sockets=[listener])
