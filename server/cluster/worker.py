"""The actor that carries media: a whole server of its own, asked through Ray instead of a socket."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace

import ray
from fastapi import FastAPI
from prometheus_client import Metric

from server.access.api_keys import caller
from server.cluster.actors import Actors, Gone, Unreachable
from server.cluster.asgi import answer
from server.cluster.checkpoints import CheckpointSender, CheckpointStore, pack_checkpoints, unpack_checkpoint
from server.cluster.host import AppHost
from server.cluster.messages import Build, HttpReply, HttpRequest, Opening, Report, Share
from server.cluster.metrics import label
from server.cluster.names import FLEET
from server.config import ServerConfig
from server.http.api import version_of
from server.session.admission import Load
from server.session.resumable_sessions import SessionCheckpoint
from server.uploads.uploads import Uploads

logger = logging.getLogger(__name__)

COPY_SECONDS = 1.0
SEND_SECONDS = 5.0
SEEN = 512
"""Placements remembered: more than any worker gets between two reports."""
placement: ContextVar[int] = ContextVar("placement", default=0)
"""The number of the placement that the request at hand came with."""
SHELVED_PER_PLACE = 4
"""Sessions of others kept here for each one carried here."""


class MediaWorker:
    """Runs as a Ray actor of the same name as its sessions' ids begin with."""

    def __init__(self, name: str, config: ServerConfig, share: Share, build: Build) -> None:
        self._name = name
        # Limits to a caller, and whom to answer, are the ingress's to say: it sees all that one caller does.
        self._config = replace(
            config, worker=name, requests_per_minute=None, max_sessions_per_key=None, allow_hosts=("*",)
        )
        self._actors = Actors()
        self._store = CheckpointStore(config.resume_seconds, SHELVED_PER_PLACE * config.max_sessions)
        self._seen: deque[int] = deque(maxlen=SEEN)
        self._buddy = ""
        self._copying: asyncio.Task[None] | None = None
        self._sender: CheckpointSender | None = None
        self._sending = asyncio.Lock()
        context = ray.get_runtime_context()
        self._node = context.get_node_id()
        self._address = ray.util.get_node_ip_address()

        def make_app() -> FastAPI:
            return build(self._config, share)

        self._host = AppHost(make_app)

    # ---- asked by the fleet

    async def report(self, buddy: str) -> Report:
        """How it is; from now on its checkpoints go to `buddy`, or to the fleet where that is nobody."""
        self._buddy = buddy or FLEET
        if self._copying is None:
            self._copying = asyncio.create_task(self._copy_on())
        ready, problem = self._host.readiness
        base = Report(
            self._name,
            version_of("rigid-live"),
            self._node,
            self._address,
            os.getpid(),
            ready,
            problem,
            places=self._config.max_sessions,
        )
        if not ready:
            return base
        load, draining, attributes, seen = await self._host.run(self._load())
        return replace(
            base,
            draining=draining,
            sessions=load.sessions,
            limit_fps=load.limit_fps,
            min_fps=self._config.min_fps,
            fps=load.fps,
            owners=load.owners,
            attributes=attributes,
            seen=seen,
        )

    async def _load(self) -> tuple[Load, bool, frozenset[str], frozenset[int]]:
        admission, uploads = self._host.manager.admission, self._host.uploads
        names = uploads.names if uploads else frozenset[str]()
        return admission.load, admission.draining, names, frozenset(self._seen)

    async def move_out(self) -> int:
        """Take no more sessions, and end those that run so that their clients come back elsewhere; how many."""
        moved = await self._host.run(self._host.manager.move_out())
        await self._send_copies()
        return moved

    async def wind_down(self, seconds: float) -> None:
        """Take no more sessions, and wait until those that run have ended, at most so long."""
        await self._host.run(self._host.manager.drain(seconds))

    async def stop(self) -> None:
        """End the sessions and the server."""
        if self._copying is not None:
            self._copying.cancel()
        await self._host.stop()

    # ---- attributes from clients

    async def attribute(self, name: str) -> bytes:
        """The file of one that is here."""
        return await asyncio.to_thread(self._uploads.file, name)

    async def take_attribute(self, name: str, file: bytes) -> None:
        """Offer one that another worker has."""
        await self._host.run(self._uploads.take(name, file))

    @property
    def _uploads(self) -> Uploads:
        if self._host.uploads is None:
            raise ValueError("This worker takes no attributes.")
        return self._host.uploads

    # ---- asked by the ingress

    async def request(self, request: HttpRequest, opening: Opening | None = None) -> HttpReply:
        """Answer a request; one for a session may go on from what another left elsewhere."""
        if opening is None:
            return await self._host.run(answer(self._host.app, request))
        kept = opening.kept and await self._restorable(opening.kept)

        async def work() -> HttpReply:
            manager = self._host.manager
            manager.admission.on_reserved = self._note_placement
            placement.set(opening.number)
            if kept is not None:
                manager.resumable.put(opening.token, kept)
            return await answer(self._host.app, request)

        return await self._host.run(work())

    def _note_placement(self) -> None:
        # On the app's loop, like `_load`, so that both always agree.
        self._seen.append(placement.get())

    async def _restorable(self, kept: SessionCheckpoint) -> SessionCheckpoint:
        try:
            return await asyncio.to_thread(unpack_checkpoint, kept)
        except ValueError as error:
            logger.warning("A session begins anew: %s", error)
            return replace(kept, state=None)

    async def give_up(self, token: str, owner: str) -> SessionCheckpoint | None:
        """End a session for it to go on elsewhere; what it leaves. None where no such session was here."""

        async def work() -> SessionCheckpoint | None:
            caller.set(owner)
            return await self._host.manager.take_over(token)

        return await self._host.run(work())

    async def forget(self, token: str) -> None:
        """Keep nothing under a token any more: its session goes on elsewhere."""

        async def work() -> None:
            self._host.manager.resumable.forget(token)

        self._store.put({}, [token])
        await self._host.run(work())

    async def metrics(self) -> list[Metric]:
        """Return the worker's numbers, labelled with its name."""

        async def work() -> list[Metric]:
            return label(self._host.metrics.families(), self._name)

        return await self._host.run(work())

    # ---- copies of sessions, here and elsewhere

    async def keep(self, copies: Mapping[str, SessionCheckpoint], gone: Iterable[str]) -> None:
        """Hold copies of another worker's sessions."""
        self._store.put(copies, gone)

    async def find_kept(self, token: str) -> tuple[float, SessionCheckpoint] | None:
        """The copy of one, and when it came; None without one."""
        return self._store.find(token)

    async def _copy_on(self) -> None:
        while True:
            await asyncio.sleep(COPY_SECONDS)
            try:
                await self._send_copies()
            except Exception:  # the next round is a second away, and sessions must have it
                logger.exception("Copies of the sessions could not be sent")

    async def _send_copies(self) -> None:
        if not self._host.readiness[0] and self._sender is None:
            return
        async with self._sending:
            copies, gone = await self._host.run(self._collect())
            if copies or gone:
                small = await asyncio.to_thread(pack_checkpoints, copies)
                with suppress(Gone, Unreachable):
                    await self._actors.call(self._buddy, "keep", small, gone, seconds=SEND_SECONDS)

    async def _collect(self) -> tuple[dict[str, SessionCheckpoint], set[str]]:
        if self._sender is None:
            self._sender = CheckpointSender(self._host.manager)
        return self._sender.next(self._buddy)
