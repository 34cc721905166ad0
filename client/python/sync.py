"""The client for programs without an event loop: the same session, run by a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from client.python.connection import PROCESS_SECONDS, AsyncClient
from client.python.shapes import Picture

Result = TypeVar("Result")


class Client:
    """`AsyncClient` without `await`; use it with `with`. Its methods may be called from any thread."""

    def __init__(
        self,
        server: str,
        *,
        key: str | None = None,
        verify: bool | str = True,
        badge: bool = True,
        reconnect: bool = True,
        **edits: float,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rigid-live client", daemon=True)
        self._thread.start()
        # On the loop, whose own it makes.
        make = partial(AsyncClient, server, key=key, verify=verify, badge=badge, reconnect=reconnect, **edits)
        self._live = self._call(make)

    def __enter__(self) -> Self:
        try:
            self._run(self._live.connect())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def session_id(self) -> str | None:
        """The session's id, for REST and for viewers; None while there is none."""
        return self._live.session_id

    @property
    def resumed(self) -> int:
        """How often the session went on after its connection broke."""
        return self._live.resumed

    @property
    def stats(self) -> dict[str, Any]:
        """The server's newest numbers of this session."""
        return self._live.stats

    def process(self, frame: Picture, seconds: float | None = None, timeout: float = PROCESS_SECONDS) -> Picture:
        """Send this very picture, and return it edited."""
        return self._run(self._live.process(frame, seconds, timeout))

    def send(self, frame: Picture, seconds: float | None = None) -> None:
        """Offer a picture; the newest wins, and nothing waits."""
        self._call(lambda: self._live.send(frame, seconds))

    def receive(self, timeout: float = PROCESS_SECONDS) -> Picture:
        """The newest picture from the server, once there is one that was not given out."""
        return self._run(self._live.receive(timeout))

    def newest(self) -> Picture | None:
        """The newest picture from the server that was not given out, without waiting."""
        return self._call(self._live.newest)

    def set(self, *, face: int | None = None, ramp_ms: float | None = None, **edits: float) -> dict[str, Any]:
        """Change some strengths, of all faces or of one; the server's acknowledgement."""
        return self._run(self._live.set(face=face, ramp_ms=ramp_ms, **edits))

    def faces(self) -> list[dict[str, Any]]:
        """The faces in the server's newest picture."""
        return self._run(self._live.faces())

    def close(self) -> None:
        """End the session and the thread; safe to call twice."""
        if self._loop.is_closed():
            return
        self._run(self._live.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _call(self, function: Callable[[], Result]) -> Result:
        async def call() -> Result:
            return function()

        return self._run(call())
