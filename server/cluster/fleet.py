"""The actor that knows the workers: it has as many as are wanted, asks them how they are, and places sessions.

Ray starts them, on nodes with room, and starts them anew when they or their nodes die; this only says how many.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from server.cluster.actors import Actors, Gone, Unreachable
from server.cluster.attribute_sync import AttributeSync
from server.cluster.checkpoints import CheckpointStore
from server.cluster.messages import Build, Placement, Share
from server.cluster.names import NAMESPACE, WORKER
from server.cluster.roster import Roster, WorkerBounds
from server.cluster.worker import MediaWorker
from server.cluster.worker_place import WorkerPlace
from server.config import ServerConfig
from server.http.api import version_of
from server.session.resumable_sessions import SessionCheckpoint

logger = logging.getLogger(__name__)

ROUND_SECONDS = 0.5
LOST_SECONDS = 3.0
"""A worker that has not answered for so long gets no sessions."""
REPORT_SECONDS = 3600.0
"""A worker may take its time to start: Ray waits for a node with room for it."""
MOVE_SECONDS = 60.0
COME_BACK_SECONDS = 5.0
"""How long an emptied worker stays for its clients to fetch their sessions' exact states."""
SHELVED = 64


@dataclass(frozen=True)
class Plan:
    """How a cluster is to be."""

    config: ServerConfig
    """Of each worker."""
    share: Share
    build: Build
    bounds: WorkerBounds | None = None
    """How many workers; None for as many as the nodes have room for, as nodes come and go."""


class Fleet:
    """Runs as one Ray actor, which Ray restarts; it then finds its workers by their names."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._roster = Roster(version_of("rigid-live"), plan.config.max_sessions_per_key)
        self._actors = Actors()
        self._sync = AttributeSync(self._actors, self._roster)
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._asked_at: dict[str, float] = {}
        self._store = CheckpointStore(plan.config.resume_seconds, SHELVED)
        self._told: set[str] = set()
        self._shunned: set[str] = set()
        self._rounds: asyncio.Task[None] | None = None
        self._closing = False

    # ---- asked by the ingress

    async def place(self, owner: str, tried: Sequence[str]) -> Placement:
        """Choose where a new session of that API key goes, none of `tried` having taken it."""
        self._begin()
        return self._roster.place(owner, tried)

    async def note_refusal(self, placement: Placement) -> None:
        """Note that a session did not come about where it was placed."""
        self._roster.note_refusal(placement)

    async def workers(self) -> list[str]:
        """List the workers that may have sessions or copies of them."""
        self._begin()
        return [name for name, place in self._roster.places.items() if place.report is not None and not place.lost]

    async def describe(self) -> list[dict[str, object]]:
        """Describe every worker."""
        self._begin()
        return self._roster.describe()

    async def hand_on(self, attribute: str, owner: str) -> None:
        """Give an attribute that a client brought to one worker to all the others."""
        await self._sync.hand_on(attribute, owner)

    # ---- copies of the sessions of a worker that is the only one

    async def keep(self, copies: Mapping[str, SessionCheckpoint], gone: Iterable[str]) -> None:
        """Hold copies of a worker's sessions."""
        self._store.put(copies, gone)

    async def find_kept(self, token: str) -> tuple[float, SessionCheckpoint] | None:
        """The copy of one, and when it came; None without one."""
        return self._store.find(token)

    async def forget(self, token: str) -> None:
        """Keep nothing under a token any more."""
        self._store.put({}, [token])

    # ---- asked by whoever runs the cluster

    async def drain(self, name: str, replace: bool = True) -> int:
        """Move a worker's sessions elsewhere and end it; how many they were. ValueError where there is none such.

        `replace`: another one may begin on its node; False leaves that node alone from now on.
        """
        place = self._roster.places.get(name)
        if place is None:
            known = ", ".join(sorted(self._roster.places)) or "none"
            raise ValueError(f"There is no worker {name!r}; there are: {known}.")
        place.draining = True
        if not replace and place.report is not None:
            self._shunned.add(place.report.node)
        try:
            moved: int = await self._actors.call(name, "move_out", seconds=MOVE_SECONDS)
            if moved:
                await asyncio.sleep(COME_BACK_SECONDS)
        except (Gone, Unreachable) as error:
            logger.warning("Worker %s ends without its sessions having been moved: %s", name, error)
            moved = 0
        await self._end(name)
        return moved

    async def wind_down(self) -> None:
        """Take no new sessions, and wait until those that run have ended, at most `drain_seconds`."""
        await self._close()
        await asyncio.gather(*(self._wait_for(name) for name in list(self._roster.places)))

    async def stop(self) -> None:
        """End all workers and their sessions."""
        await self._close()
        await asyncio.gather(*(self._end(name) for name in list(self._roster.places)))

    async def _close(self) -> None:
        self._closing = True
        if self._rounds is None:
            # begun anew a moment ago: those that are to end have to be found first
            await self._adopt()
        else:
            self._rounds.cancel()
        for place in self._roster.places.values():
            place.draining = True

    async def _wait_for(self, name: str) -> None:
        seconds = self._plan.config.drain_seconds
        try:
            await self._actors.call(name, "wind_down", seconds, seconds=seconds + LOST_SECONDS)
        except (Gone, Unreachable) as error:
            logger.info("Worker %s is not waited for: %s", name, error)

    # ---- the round

    def _begin(self) -> None:
        # Not in the constructor, which Ray runs outside of the event loop.
        if self._rounds is None and not self._closing:
            self._rounds = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        await self._adopt()
        while True:
            try:
                await self._resize()
                self._ask_all()
                self._sync.look()
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
            await self._end(name)
        else:
            place.draining = True
            task = asyncio.create_task(self._drain_quietly(name))
            self._asking[f"{name} draining"] = task

    async def _drain_quietly(self, name: str) -> None:
        moved = await self.drain(name)
        logger.info("Worker %s was not needed any more; %d sessions moved", name, moved)

    async def _end(self, name: str) -> None:
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
