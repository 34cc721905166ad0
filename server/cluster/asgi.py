"""One HTTP request put to an ASGI app without a socket."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message

from server.cluster.messages import HttpReply, HttpRequest

logger = logging.getLogger(__name__)


async def answer(app: ASGIApp, request: HttpRequest) -> HttpReply:
    """What `app` answers, whole; what it raises without an answer is raised."""
    given, over = False, asyncio.Event()
    sent: HttpReply | None = None
    parts: list[bytes] = []

    async def receive() -> Message:
        nonlocal given
        if given:
            # Nobody leaves before the answer: who asks for more waits until it is there.
            await over.wait()
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal sent
        if message["type"] == "http.response.start":
            sent = HttpReply(message["status"], list(message.get("headers", [])), b"")
        elif message["type"] == "http.response.body":
            parts.append(bytes(message.get("body", b"")))

    try:
        await app(_scope(request), receive, send)
    except Exception:  # Starlette answers a fault with 500, and then raises it for a server that would log it
        if sent is None:
            raise
        logger.exception("%s %s failed", request.method, request.path)
    finally:
        over.set()
    assert sent is not None
    return HttpReply(sent.status, sent.headers, b"".join(parts))


def _scope(request: HttpRequest) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "root_path": request.root_path,
        "query_string": request.query,
        "headers": request.headers,
        "client": request.client,
        "server": None,
    }
