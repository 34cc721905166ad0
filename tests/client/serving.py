"""A server in a thread, on a free port of the loopback address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from server.listen import listen
from tests.patience import PATIENCE_SECONDS, eventually


@contextmanager
def serving(app: FastAPI, port: int | None = None) -> Iterator[str]:
    """Run `app` until the block ends; yields its address, under the name that browsers trust with a camera."""
    listener = listen("127.0.0.1", port or 0)
    server = uvicorn.Server(uvicorn.Config(app, loop="asyncio", log_level="warning", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, args=([listener],), name="server")
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive(), "the server's start")
        assert server.started, "the server did not start"
        yield f"http://localhost:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "the server did not stop"
