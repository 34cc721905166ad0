"""Clients that send half of something: they are not waited for, and do not keep others out."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import pytest
import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection

from server.access.connection_limits import guard_protocol
from server.app import create_app
from server.config import ServerConfig
from server.listen import listen
from server.logs import RepeatFilter, discreet, without_secrets
from tests.patience import PATIENCE_SECONDS, eventually, until
from tests.server.http.test_api import assert_error
from tests.server.http.test_whip import Client
from tests.server.world import LIBRARY, Camera, PaintingStream, running

SERVER = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from server.app import create_app
from server.config import ServerConfig
from server.logs import set_up
from server.listen import listen
from server.run import run
from tests.server.world import LIBRARY, PaintingStream
set_up("warning")
listener = listen("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
run(create_app(ServerConfig(), PaintingStream, LIBRARY), listener, None)
"""
HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-More: "


@pytest.mark.slow
def test_half_sent_headers_keep_nobody_out_and_the_log_short() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline())
    half: list[socket.socket] = []
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as http:
            assert http.get("/healthz").status_code == 200
        for count in range(300):
            half.append(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))
            half[-1].sendall(HALF)
            if count % 50 == 49:
                assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE_SECONDS).status_code == 200
    finally:
        server.terminate()
        _, log = server.communicate(timeout=PATIENCE_SECONDS)
        for one in half:
            one.close()
    assert log.count("one that keeps the server waiting is closed") == 1 and len(log) < 10_000, log[:2000]


@contextmanager
def listening(**seconds: float) -> Iterator[int]:
    """A server with guarded connections, and these deadlines of `guard_protocol`, in a thread; its port."""
    listener = listen("127.0.0.1", 0)
    app = create_app(ServerConfig(), PaintingStream, LIBRARY)
    protocol = guard_protocol(100, **seconds)
    config = uvicorn.Config(app, loop="asyncio", http=protocol, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="server")
    thread.start()
    try:
        eventually(lambda: server.started, "the server")
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


def ended(sent: bytes, port: int) -> bytes:
    """What comes until the server ends the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(sent)
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass  # as it does where it gives up
    return received


WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", HALF, WHOLE + HALF], ids=["nothing", "half", "after a request"])
def test_headers_are_not_waited_for_longer_than_stated(sent: bytes) -> None:
    with listening(header_seconds=0.2) as port:
        assert ended(sent, port).count(b"200 OK") == sent.count(WHOLE)


@pytest.mark.parametrize("path", [b"/api/v1/sessions", b"/nowhere"])
def test_a_body_is_not_waited_for_longer_than_stated(path: bytes) -> None:
    with listening(body_seconds=0.2) as port:
        assert b"HTTP" not in ended(
            b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", port
        )


def test_a_quick_client_is_not_disturbed() -> None:
    with (
        listening(header_seconds=1.0) as port,
        socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection,
    ):
        for _ in range(3):
            for piece in (WHOLE[:20], WHOLE[20:]):
                connection.sendall(piece)
            received = b""
            while b"ok" not in received:
                received += connection.recv(65536)
                assert received
            assert received.startswith(b"HTTP/1.1 200")
            threading.Event().wait(0.4)


async def test_a_body_that_does_not_come_is_answered() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with running(ServerConfig(body_seconds=0.05)) as world:
        for path in ("/api/v1/sessions", "/whip", "/offer"):
            assert_error(await world.http.post(path, content=never()), 408, "too_slow")


# ---- the log


def record(text: str, *values: object, name: str = "server", level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, text, values, None)


def test_errors_of_one_kind_are_told_once_a_minute_with_their_count() -> None:
    now = [0.0]
    sparing = RepeatFilter(lambda: now[0])
    told = [sparing.filter(record("Session %s failed", number)) for number in range(50)]
    assert told == [True] + [False] * 49
    assert sparing.filter(record("Something else")) and sparing.filter(record("Session %s failed", 1, name="other"))
    assert sparing.filter(record("Session %s failed", 1, level=logging.WARNING))
    assert all(sparing.filter(record("Opened %s", number, level=logging.INFO)) for number in range(5))
    now[0] = 61.0
    next_one = record("Session %s failed", 7)
    assert sparing.filter(next_one)
    assert next_one.getMessage() == "Session 7 failed (and 49 more like it before)"
    now[0] = 200.0
    calm = record("Session %s failed", 8)
    assert sparing.filter(calm) and calm.getMessage() == "Session 8 failed"


def test_a_kind_is_told_by_its_text_without_numbers() -> None:
    sparing = RepeatFilter(lambda: 0.0)
    assert [sparing.filter(record(f"socket.accept() out of resources fd={number}")) for number in (3, 14)] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/whip/s3cret", "/whip/-"),
        ("/whip?smile=1", "/whip"),
        ("/whep/w1.public/s3cret", "/whep/w1.public/-"),
        ("/api/v1/sessions/w1.public/stats?x=s3cret", "/api/v1/sessions/w1.public/stats"),
    ],
)
def test_the_access_log_has_no_secrets(path: str, told: str) -> None:
    assert without_secrets(path) == told
    line = record('%s - "%s %s HTTP/%s" %d', "192.0.2.7:5", "GET", path, "1.1", 200, level=logging.INFO)
    assert discreet(line) and line.getMessage() == f'- - "GET {told} HTTP/1.1" 200'


@pytest.mark.slow
def test_a_server_that_tells_much_tells_no_secret_and_no_address() -> None:
    script = SERVER.replace('"warning"', '"info"').replace("listener, None)", 'listener, None, "info")')
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = f"http://127.0.0.1:{int(server.stdout.readline())}"
    try:
        asyncio.run(_visit(address))
    finally:
        server.terminate()
        _, log = server.communicate(timeout=PATIENCE_SECONDS)
    assert "DELETE /whip/-" in log and "closed: deleted" in log
    assert not re.search(r"whip/[\w-]{10}", log)
    own = re.sub(r"running on http://127\.0\.0\.1:\d+", "", log)
    assert not re.search(r"\b\d{1,3}(\.\d{1,3}){3}\b", own), own


async def _is_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200


async def _visit(address: str) -> None:
    """Open a session by WHIP, connect, and end it."""
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_SECONDS) as http:
        await until(partial(_is_ready, http))
        client = Client(http, "/whip", RTCPeerConnection(RTCConfiguration(iceServers=[])))
        client.send(Camera())
        assert (await client.start()).status_code == 201
        await until(lambda: client.peer.connectionState == "connected")
        assert (await http.delete(client.resource)).status_code == 200
        await client.close()
