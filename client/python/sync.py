"""The client for programs without an event loop: the same session, run by a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
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
        options = {"key": key, "verify": verify, "badge": badge, "reconnect": reconnect}
        self._live = self._run(self._make(server, {**options, **edits}))

    @staticmethod
    async def _make(server: str, options: dict[str, Any]) -> AsyncClient:
        return AsyncClient(server, **options)

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
        """For REST, and for viewers."""
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
        """This very picture, edited."""
        return self._run(self._live.process(frame, seconds, timeout))

    def send(self, frame: Picture, seconds: float | None = None) -> None:
        """Offer a picture; the newest wins, and nothing waits."""

        async def send() -> None:
            self._live.send(frame, seconds)

        self._run(send())

    def receive(self, timeout: float = PROCESS_SECONDS) -> Picture:
        """The newest picture from the server, once there is one that was not given out."""
        return self._run(self._live.receive(timeout))

    def newest(self) -> Picture | None:
        """The newest picture from the server that was not given out, without waiting."""

        async def newest() -> Picture | None:
            return self._live.newest()

        return self._run(newest())

    def set(self, *, ramp_ms: float | None = None, **edits: float) -> dict[str, Any]:
        """Change some strengths; the server's acknowledgement."""
        return self._run(self._live.set(ramp_ms=ramp_ms, **edits))

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
