"""Checkpoints of other workers' sessions, for when those are gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from server.session.resumable_sessions import ResumableSessions, SessionCheckpoint


class CheckpointStore:
    """Holds the newest of each session for a while, in memory only: the state has pictures of the viewer's face."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float] = time.time) -> None:
        """`clock`: of the world, not of this machine alone, as copies on several shelves are compared by it."""
        self._checkpoints = ResumableSessions(seconds, most, clock)
        self._clock = clock
        self._came: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._checkpoints)

    def put(self, copies: Mapping[str, SessionCheckpoint], gone: Iterable[str]) -> None:
        """Take the newest of some sessions, by resume token, and let go of those that ended for good."""
        now = self._clock()
        for token, kept in copies.items():
            self._checkpoints.put(token, kept)
            self._came[token] = now
        for token in gone:
            self._checkpoints.forget(token)
        held = self._checkpoints.all()
        self._came = {token: at for token, at in self._came.items() if token in held}

    def find(self, token: str) -> tuple[float, SessionCheckpoint] | None:
        """The newest of one, and when it came."""
        kept = self._checkpoints.find(token)
        return None if kept is None else (self._came[token], kept)
