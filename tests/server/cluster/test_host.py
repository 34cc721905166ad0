"""A server in a thread of its own, asked without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from server.cluster.asgi import answer
from server.cluster.host import AppHost, NotLoaded
from server.cluster.messages import HttpRequest, Share
from server.config import ServerConfig
from tests.patience import until
from tests.server.cluster.media import build


def get(path: str) -> HttpRequest:
    return HttpRequest("GET", path, b"", [(b"host", b"127.0.0.1")], b"")


async def until_loaded(host: AppHost) -> None:
    await until(lambda: any(host.readiness))
    assert not host.readiness[1]


async def test_the_server_answers_from_its_own_loop_and_ends() -> None:
    host = AppHost(lambda: build(ServerConfig(worker="w1"), Share()))
    await until_loaded(host)
    ready = await host.run(answer(host.app, get("/readyz")))
    assert (ready.status, ready.body) == (200, b'{"status":"ready"}')
    assert (await host.run(answer(host.app, get("/api/v1/sessions/w1.x")))).status == 404
    page = await host.run(answer(host.app, get("/")))
    assert page.body.startswith(b"<!doctype html>") and len(page.body) == int(dict(page.headers)[b"content-length"])
    loop = await host.run(_loop())
    assert loop is not asyncio.get_running_loop() and isinstance(loop, asyncio.SelectorEventLoop)
    await host.stop()
    with pytest.raises(NotLoaded):
        await host.run(_loop())


async def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def test_a_server_that_cannot_be_made_says_why(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> FastAPI:
        raise ValueError("The model is damaged.")

    host = AppHost(fail)
    await until(lambda: bool(host.problem))
    assert host.readiness == (False, "The model is damaged.")
    with pytest.raises(NotLoaded, match="damaged"):
        await host.run(_loop())
    await host.stop()


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_an_app_that_waits_for_the_client_to_leave_ends_its_answer_first(version: str) -> None:
    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        scope["asgi"]["spec_version"] = version

        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"one ", b"two"):
                await asyncio.sleep(0)
                yield piece

        await StreamingResponse(pieces())(scope, receive, send)

    assert (await answer(streaming, get("/"))).body == b"one two"


async def test_a_fault_after_the_answer_leaves_the_answer() -> None:
    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"sorry"})
        raise RuntimeError("a fault")

    late = await answer(faulty, get("/late"))
    assert (late.status, late.body) == (500, b"sorry")
    with pytest.raises(RuntimeError, match="a fault"):
        await answer(faulty, get("/early"))
