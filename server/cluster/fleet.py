"""The actor that knows the workers: it places sessions, keeps copies of them, and has the workers looked after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from server.cluster.actors import Actors, Gone, Unreachable
from server.cluster.checkpoints import CheckpointStore
from server.cluster.messages import Placement
from server.cluster.roster import Roster
from server.cluster.upkeep import LOST_SECONDS, Plan, Upkeep
from server.http.api import version_of
from server.session.resumable_sessions import SessionCheckpoint

logger = logging.getLogger(__name__)

SHELVED = 64


class Fleet:
    """Runs as one Ray actor, which Ray restarts; it then finds its workers by their names."""

    def __init__(self, plan: Plan) -> None:
        self._drain_seconds = plan.config.drain_seconds
        self._roster = Roster(version_of("rigid-live"), plan.config.max_sessions_per_key)
        self._actors = Actors()
        self._upkeep = Upkeep(plan, self._actors, self._roster)
        self._store = CheckpointStore(plan.config.resume_seconds, SHELVED)

    # ---- asked by the ingress

    async def place(self, owner: str, tried: Sequence[str]) -> Placement:
        """Choose where a new session of that API key goes, none of `tried` having taken it."""
        self._upkeep.begin()
        return self._roster.place(owner, tried)

    async def note_refusal(self, placement: Placement) -> None:
        """Note that a session did not come about where it was placed."""
        self._roster.note_refusal(placement)

    async def workers(self) -> list[str]:
        """List the workers that may have sessions or copies of them."""
        self._upkeep.begin()
        return [name for name, place in self._roster.places.items() if place.report is not None and not place.lost]

    async def describe(self) -> list[dict[str, object]]:
        """Describe every worker."""
        self._upkeep.begin()
        return self._roster.describe()

    async def hand_on(self, attribute: str, owner: str) -> None:
        """Give an attribute that a client brought to one worker to all the others."""
        await self._upkeep.attributes.hand_on(attribute, owner)

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
        if not replace and place.report is not None:
            self._upkeep.shun(place.report.node)
        return await self._upkeep.drain(name)

    async def wind_down(self) -> None:
        """Take no new sessions, and wait until those that run have ended, at most `drain_seconds`."""
        await self._upkeep.close()
        await asyncio.gather(*(self._wait_for(name) for name in list(self._roster.places)))

    async def stop(self) -> None:
        """End all workers and their sessions."""
        await self._upkeep.close()
        await asyncio.gather(*(self._upkeep.end(name) for name in list(self._roster.places)))

    async def _wait_for(self, name: str) -> None:
        seconds = self._drain_seconds
        try:
            await self._actors.call(name, "wind_down", seconds, seconds=seconds + LOST_SECONDS)
        except (Gone, Unreachable) as error:
            logger.info("Worker %s is not waited for: %s", name, error)
