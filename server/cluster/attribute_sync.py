"""Attributes that clients brought to one worker, given to all the others, also those that begin later."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from server.cluster.actors import Actors, Gone, Unreachable
from server.cluster.roster import MissingAttribute, Roster

logger = logging.getLogger(__name__)

GIVE_AGAIN_SECONDS = 30.0
"""What could not be given is tried again after these."""


class AttributeSync:
    """Compares what the workers say that they have; on the fleet's event loop."""

    def __init__(self, actors: Actors, roster: Roster) -> None:
        self._actors = actors
        self._roster = roster
        self._giving: asyncio.Task[None] | None = None
        self._failed: dict[MissingAttribute, float] = {}

    def look(self) -> None:
        """Begin to give what is lacking, unless that is being done."""
        if self._giving is None or self._giving.done():
            oldest = time.monotonic() - GIVE_AGAIN_SECONDS
            self._failed = {one: at for one, at in self._failed.items() if at > oldest}
            lacking = [one for one in self._roster.lacking() if one not in self._failed]
            self._giving = asyncio.create_task(self._give_all(lacking)) if lacking else None

    async def hand_on(self, attribute: str, owner: str) -> None:
        """Give an attribute to everybody at once that `owner` has since a moment ago."""
        others = [name for name, _ in self._roster.usable() if name != owner]
        await asyncio.gather(*(self._give(MissingAttribute(attribute, owner, name)) for name in others))

    async def _give_all(self, lacking: Iterable[MissingAttribute]) -> None:
        for one in lacking:
            await self._give(one)

    async def _give(self, lack: MissingAttribute) -> None:
        try:
            file = await self._actors.call(lack.owner, "attribute", lack.attribute)
            await self._actors.call(lack.worker, "take_attribute", lack.attribute, file)
        except (Gone, Unreachable) as error:
            self._failed[lack] = time.monotonic()
            logger.warning("Worker %s does not have the attribute %s: %s", lack.worker, lack.attribute, error)
