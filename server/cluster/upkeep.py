"""The round that looks after the workers of a cluster: as many as are wanted, asked how they are, ended where too many.

Ray starts them, on nodes with room, and starts them anew when they or their nodes die; this only says how many.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from server.cluster.actors import Actors, Gone, Unreachable
from server.cluster.attribute_sync import AttributeSync
from server.cluster.messages import Build, Share
from server.cluster.names import NAMESPACE, WORKER
from server.cluster.roster import Roster, WorkerBounds
from server.cluster.worker import MediaWorker
from server.cluster.worker_place import WorkerPlace
from server.config import ServerConfig

logger = logging.getLogger(__name__)

ROUND_SECONDS = 0.5
LOST_SECONDS = 3.0
"""A worker that has not answered for so long gets no sessions."""
REPORT_SECONDS = 3600.0
"""A worker may take its time to start: Ray waits for a node with room for it."""
MOVE_SECONDS = 60.0
COME_BACK_SECONDS = 5.0
"""How long an emptied worker stays for its clients to fetch their sessions' exact states."""


@dataclass(frozen=True)
class Plan:
    """How a cluster is to be."""

    config: ServerConfig
    """Of each worker."""
    share: Share
    build: Build
    bounds: WorkerBounds | None = None
    """How many workers; None for as many as the nodes have room for, as nodes come and go."""


class Upkeep:
    """Looks after the workers in a roster; it is used on the fleet's event loop only."""

    def __init__(self, plan: Plan, actors: Actors, roster: Roster) -> None:
        self.attributes = AttributeSync(actors, roster)
        self._plan = plan
        self._actors = actors
        self._roster = roster
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._asked_at: dict[str, float] = {}
        self._told: set[str] = set()
        self._shunned: set[str] = set()
        self._rounds: asyncio.Task[None] | None = None
        self._closing = False

    def begin(self) -> None:
        """Begin the rounds, unless they have begun; a constructor is run by Ray outside of the event loop."""
        if self._rounds is None and not self._closing:
            self._rounds = asyncio.create_task(self._go_on())

    async def close(self) -> None:
        """End the rounds, and have no worker take new sessions."""
        self._closing = True
        if self._rounds is None:
            # begun anew a moment ago: those that are to end have to be found first
            await self._adopt()
        else:
            self._rounds.cancel()
        for place in self._roster.places.values():
            place.draining = True

    def shun(self, node: str) -> None:
        """Start no other worker on a node."""
        self._shunned.add(node)

    async def drain(self, name: str) -> int:
        """Move a worker's sessions elsewhere and end it; how many they were."""
        self._roster.places[name].draining = True
        try:
            moved: int = await self._actors.call(name, "move_out", seconds=MOVE_SECONDS)
            if moved:
                await asyncio.sleep(COME_BACK_SECONDS)
        except (Gone, Unreachable) as error:
            logger.warning("Worker %s ends without its sessions having been moved: %s", name, error)
            moved = 0
        await self.end(name)
        return moved

    async def _go_on(self) -> None:
        await self._adopt()
        while True:
            try:
                await self._resize()
                self._ask_all()
                self.attributes.look()
                self._tell()
            except Exception:  # one round's trouble must not leave the cluster without anybody who looks after it
                logger.exception("The workers could not be looked after")
            await asyncio.sleep(ROUND_SECONDS)

    async def _adopt(self) -> None:
        named = await asyncio.to_thread(ray.util.list_named_actors, True)
        for one in named:
            if one["namespace"] == NAMESPACE and WORKER.fullmatch(one["name"]):
                self._roster.places.setdefault(one["name"], WorkerPlace())

    async def _resize(self) -> None:
        nodes = [one for one in await asyncio.to_thread(ray.nodes) if one["Alive"]]
        self._roster.note_nodes({str(one["NodeID"]) for one in nodes})
        wanted = self._count_wanted(nodes)
        staying = [name for name, place in self._roster.places.items() if not place.draining]
        for _ in range(wanted - len(staying)):
            await self._start_one()
        if len(staying) > wanted:
            await self._retire(self._roster.to_end())

    def _count_wanted(self, nodes: Sequence[Mapping[str, Any]]) -> int:
        if self._plan.bounds is not None:
            return self._roster.count_wanted(self._plan.bounds)
        usable = [one for one in nodes if one["NodeID"] not in self._shunned]
        return sum(self._plan.share.fitting(one["Resources"]) for one in usable)

    async def _start_one(self) -> None:
        name = f"w{secrets.token_hex(3)}"
        self._roster.places[name] = WorkerPlace()
        await asyncio.to_thread(start_worker, name, self._plan)
        logger.info("Worker %s is wanted", name)

    async def _retire(self, name: str) -> None:
        place = self._roster.places[name]
        if place.lost or place.report is None:
            await self.end(name)
        else:
            place.draining = True
            task = asyncio.create_task(self._drain_quietly(name))
            self._asking[f"{name} draining"] = task

    async def _drain_quietly(self, name: str) -> None:
        moved = await self.drain(name)
        logger.info("Worker %s was not needed any more; %d sessions moved", name, moved)

    async def end(self, name: str) -> None:
        """End a worker, by its own will or without."""
        self._roster.places[name].draining = True
        try:
            await self._actors.call(name, "stop", seconds=LOST_SECONDS)
        except (Gone, Unreachable) as error:
            logger.info("Worker %s did not end by itself: %s", name, error)
        await asyncio.to_thread(_kill, name)
        self._actors.forget(name)
        self._roster.places.pop(name, None)

    def _ask_all(self) -> None:
        now = time.monotonic()
        self._asking = {name: task for name, task in self._asking.items() if not task.done()}
        for name, place in self._roster.places.items():
            if name not in self._asking:
                self._asked_at[name] = now
                self._asking[name] = asyncio.create_task(self._ask(name, place))
            elif place.report is not None and now - self._asked_at[name] > LOST_SECONDS:
                place.lost = True

    async def _ask(self, name: str, place: WorkerPlace) -> None:
        try:
            report = await self._actors.call(name, "report", self._roster.buddy(name), seconds=REPORT_SECONDS)
        except Gone as error:
            place.lost = place.report is not None
            place.fault = "" if place.lost else " ".join(str(error).split())
            return
        except Unreachable:
            place.lost = place.report is not None
            return
        if name in self._roster.places:
            self._roster.note_report(report)

    def _tell(self) -> None:
        for said in self._roster.problems().values():
            if said not in self._told:
                self._told.add(said)
                logger.warning(said)


def start_worker(name: str, plan: Plan) -> Any:
    """A worker as Ray keeps it: on a node with room for its share, anew wherever there is some when it dies."""
    share = plan.share
    options = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "max_restarts": -1,
        "num_cpus": share.cpus,
        "num_gpus": share.gpus,
        "scheduling_strategy": "SPREAD",
    }
    return ray.remote(MediaWorker).options(**options).remote(name, plan.config, share, plan.build)


def _kill(name: str) -> None:
    try:
        ray.kill(ray.get_actor(name, NAMESPACE), no_restart=True)
    except ValueError:
        logger.info("Worker %s is gone already", name)
