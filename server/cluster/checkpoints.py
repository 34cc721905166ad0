"""What is left of sessions when their worker is gone: sent elsewhere each second, and held there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from rigid.stream.state_packing import pack, unpack
from server.session.manager import SessionManager
from server.session.resumable_sessions import ResumableSessions, SessionCheckpoint


class CheckpointSender:
    """Decides what to send of a server's sessions; it is used on the server's event loop only."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._sent: set[str] = set()
        self._final: set[str] = set()
        self._to = ""

    def next(self, to: str) -> tuple[dict[str, SessionCheckpoint], set[str]]:
        """The newest of every session by resume token, those that ended unasked once, and what is to be let go.

        `to`: who gets it; whoever is new gets everything.
        """
        if to != self._to:
            self._to, self._final = to, set()
        copies: dict[str, SessionCheckpoint] = {}
        for session in self._manager.sessions:
            copies[session.resume_token] = session.checkpoint()
        left = {token: kept for token, kept in self._manager.resumable.all().items() if token not in copies}
        gone = self._sent - copies.keys() - left.keys()
        self._sent = copies.keys() | left.keys()
        copies |= {token: kept for token, kept in left.items() if token not in self._final}
        self._final = set(left)
        return copies, gone


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


def pack_checkpoints(copies: Mapping[str, SessionCheckpoint]) -> dict[str, SessionCheckpoint]:
    """Pack checkpoints, small enough to be sent every second."""
    return {
        token: replace(kept, edits=dict(kept.edits), state=kept.state and pack(kept.state))
        for token, kept in copies.items()
    }


def unpack_checkpoint(kept: SessionCheckpoint) -> SessionCheckpoint:
    """Unpack a checkpoint for a server to go on from; ValueError where the state is damaged."""
    return replace(kept, state=kept.state and unpack(kept.state))
