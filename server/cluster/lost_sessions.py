"""Sessions that go on from what an earlier one left somewhere in the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.access.api_keys import caller
from server.cluster.actors import Actors, Gone, Unreachable
from server.cluster.names import FLEET, worker_of
from server.session.resumable_sessions import SessionCheckpoint

FIND_SECONDS = 1.0
"""A worker that does not give up a session within these is taken for dead."""


@dataclass(frozen=True)
class LostSession:
    """What a session left that ended unasked."""

    kept: SessionCheckpoint | None = None
    holders: Sequence[str] = ()
    """Who has it, or a copy."""
    silent: str = ""
    """Its worker, where that should have it and does not answer."""


class LostSessions:
    """Finds what is left of them, for whoever makes the request at hand."""

    def __init__(self, actors: Actors) -> None:
        self._actors = actors

    async def recover(self, token: str, workers: Sequence[str]) -> LostSession:
        """What the session of a resume token left: with its worker, else with whoever has its copy."""
        name, names = worker_of(token), [*workers, FLEET]
        if name not in names:
            return await self._newest(names, token)
        names.remove(name)
        try:
            kept = await self._actors.call(name, "give_up", token, caller.get(), seconds=FIND_SECONDS)
        except (Gone, Unreachable):
            return replace(await self._newest(names, token), silent=name)
        return await self._newest(names, token) if kept is None else LostSession(kept, [name])

    async def _newest(self, names: Sequence[str], token: str) -> LostSession:
        """The newest copy of a session."""
        found = await asyncio.gather(*(self._find(one, token) for one in names))
        copies = [
            (at, kept, one)
            for one, (at, kept) in zip(names, found, strict=True)
            if kept is not None and kept.owner == caller.get()
        ]
        if not copies:
            return LostSession()
        _, newest, _ = max(copies, key=lambda one: one[0])
        return LostSession(newest, [one for _, _, one in copies])

    async def _find(self, name: str, token: str) -> tuple[float, SessionCheckpoint | None]:
        try:
            found = await self._actors.call(name, "find_kept", token, seconds=FIND_SECONDS)
        except (Gone, Unreachable):
            return 0.0, None
        return found or (0.0, None)
