"""A server's app in a thread with an event loop of its own: Ray's calls and the media do not hold each other up."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import FastAPI

from server.metrics import Metrics
from server.session.manager import SessionManager
from server.uploads.uploads import Uploads

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
APP_STOP_SECONDS = 20.0


class NotLoaded(Exception):
    """The app is not there yet, or never will be."""


class AppHost:
    """Makes the app, which may take minutes, and keeps its lifespan open until `stop`."""

    def __init__(self, make_app: Callable[[], FastAPI]) -> None:
        self.problem = ""
        self._make_app = make_app
        # asyncio's own, whatever policy Ray has set: the work-arounds for aiortc were made for it.
        self._loop = asyncio.SelectorEventLoop()
        self._ending = asyncio.Event()
        self._app: FastAPI | None = None
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._thread.start()

    @property
    def app(self) -> FastAPI:
        """The app; NotLoaded while there is none."""
        if self._app is None:
            raise NotLoaded(self.problem or "The networks are being loaded.")
        return self._app

    @property
    def manager(self) -> SessionManager:
        """The app's sessions; only to be touched by what `run` runs."""
        found: SessionManager = self.app.state.manager
        return found

    @property
    def uploads(self) -> Uploads | None:
        """What takes attributes from clients; None where they may bring none."""
        found: Uploads | None = self.app.state.uploads
        return found

    @property
    def metrics(self) -> Metrics:
        """The app's numbers."""
        found: Metrics = self.app.state.metrics
        return found

    @property
    def readiness(self) -> tuple[bool, str]:
        """Whether it takes sessions, and why it never will."""
        if self._app is None:
            return False, self.problem
        readiness = self._app.state.readiness
        return readiness.state == "ready", readiness.problem

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run `work` on the app's loop; NotLoaded while there is no app."""
        if self._app is None:
            work.close()
            raise NotLoaded(self.problem or "The networks are being loaded.")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def stop(self) -> None:
        """End the sessions and the app."""
        with suppress(RuntimeError):  # its loop is closed where it has ended by itself
            self._loop.call_soon_threadsafe(self._ending.set)
        await asyncio.to_thread(self._thread.join, APP_STOP_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            app = self._make_app()
            self._loop.run_until_complete(self._live(app))
        except Exception as error:  # told to whoever asks how this worker is, for there is nobody else to tell
            logger.exception("The server of this worker ended")
            self._app, self.problem = None, str(error) or type(error).__name__
        finally:
            self._loop.close()

    async def _live(self, app: FastAPI) -> None:
        async with app.router.lifespan_context(app):
            self._app = app
            await self._ending.wait()
            self._app = None
