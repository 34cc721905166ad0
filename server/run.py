"""Makes an app a server that listens."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from server.access.connection_limits import guard_protocol, raise_descriptor_limit
from server.session.manager import SessionManager
from server.tls import ANY, CertificateFiles, Renewal, own_names

logger = logging.getLogger(__name__)

GRACE_SECONDS = 3
REASONS = {
    errno.EADDRINUSE: "is in use; stop the program that has it, or choose another one with --port",
    errno.EACCES: "may not be used by this user; choose one above 1023 with --port",
}


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, before the networks are loaded; ValueError, one sentence, where it cannot."""
    if not 0 <= port <= 65535:
        raise ValueError(f"The port {port} does not exist; choose one from 1 to 65535 with --port.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise ValueError(f"The host {host!r} is not known; choose an address of this machine with --host.") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise ValueError(_cannot_listen(host, port, error)) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; choose one of its own with --host."
    return f"The port {port} on {host} {REASONS.get(error.errno or 0, f'cannot be opened ({error.strerror})')}."


def urls(host: str, port: int, *, secure: bool) -> list[str]:
    """List where to open the page, the best address first."""
    hosts = [name for name in own_names() if name not in ("127.0.0.1", "::1")] if host in ANY else [host]
    return [f"{'https' if secure else 'http'}://{f'[{name}]' if ':' in name else name}:{port}" for name in hosts]


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
) -> None:
    """Serve until SIGINT or SIGTERM, then end the sessions and return; after SIGTERM they have `drain_seconds`.

    `renew`: makes new `files` where that is due; called now and then, on a thread.
    """
    config = uvicorn.Config(
        app,
        ssl_certfile=None if files is None else files.certificate,
        ssl_keyfile=None if files is None else files.key,
        log_level=log_level,
        server_header=False,
        # Never what an extra happens to bring: the media were made for, and tried with, asyncio's own loop.
        loop="asyncio",
        http=guard_protocol(raise_descriptor_limit()),
        # the program's own, which keeps secrets
        log_config=None,
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with suppress(KeyboardInterrupt):
        certificate = None if files is None else Renewal(files, renew)
        DrainingServer(config, app.state.manager, drain_seconds, certificate).run(sockets=[listener])
