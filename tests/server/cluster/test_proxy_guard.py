"""Ray Serve's own HTTP server, as a proxy of the cluster starts it: clients that send half of something are let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn.config
from ray.serve._private.http_util import configure_http_middlewares, start_asgi_http_server
from ray.serve.config import HTTPOptions
from starlette.responses import PlainTextResponse

from server.access.connection_limits import GuardedProtocol
from server.cluster.proxy_guard import PROXY_ENVIRONMENT
from tests.patience import PATIENCE_SECONDS, until
from tests.ports import free_port

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-More: "
WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a proxy; what the guard changes for its process is put back."""
    ((name, path),) = PROXY_ENVIRONMENT.items()
    monkeypatch.setattr(f"ray.serve._private.http_util.{name}", path)
    monkeypatch.setattr(uvicorn.config, "HTTP_PROTOCOLS", dict(uvicorn.config.HTTP_PROTOCOLS))
    monkeypatch.setattr("server.cluster.proxy_guard.HTTP_PROTOCOLS", uvicorn.config.HTTP_PROTOCOLS)
    monkeypatch.setattr(GuardedProtocol, "most", GuardedProtocol.most)


@asynccontextmanager
async def proxy() -> AsyncIterator[int]:
    """Serve's HTTP server before an app that answers at once; its port."""
    options = configure_http_middlewares(HTTPOptions(host="127.0.0.1", port=free_port()))
    loop = asyncio.get_running_loop()
    task, server = await start_asgi_http_server(PlainTextResponse("here"), options, event_loop=loop)
    await until(lambda: server.started)
    try:
        yield options.port
    finally:
        server.should_exit = True
        await task


async def answer(port: int, sent: bytes) -> bytes:
    """All that comes until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    received = b""
    with suppress(ConnectionResetError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            received = await reader.read()
    writer.close()
    return received


def test_by_itself_it_still_has_no_time_limit_for_headers() -> None:
    """The guard may go when this fails: what it has in place of uvicorn's own protocol is then uvicorn's own."""
    config = uvicorn.Config(PlainTextResponse("here"), log_config=None)
    config.load()
    chosen = config.http_protocol_class
    assert isinstance(chosen, type) and not issubclass(chosen, GuardedProtocol)
    assert not [name for name in vars(config) if "header" in name and "timeout" in name]


async def test_half_sent_headers_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GuardedProtocol, "header_seconds", 0.2)
    async with proxy() as port:
        assert await answer(port, HALF) == await answer(port, b"") == b""
        assert b"200 OK" in await answer(port, WHOLE)


async def test_half_sent_headers_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.cluster.proxy_guard.make_room_for_connections", lambda: 8)
    async with proxy() as port:
        half = []
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HALF)
            half.append((reader, writer))
            assert b"200 OK" in await answer(port, WHOLE)
        async with asyncio.timeout(PATIENCE_SECONDS):
            for reader, _ in half[:10]:
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
        for _, writer in half:
            writer.close()
