"""What a worker sends elsewhere each second, so that its sessions outlive it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rigid.stream.state_packing import pack, unpack
from server.session.manager import SessionManager
from server.session.resumable_sessions import SessionCheckpoint


class CheckpointSender:
    """Decides what to send of a server's sessions; on its event loop only."""

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


def pack_checkpoints(copies: Mapping[str, SessionCheckpoint]) -> dict[str, SessionCheckpoint]:
    """Pack checkpoints, small enough to be sent every second."""
    return {
        token: replace(kept, edits=dict(kept.edits), state=kept.state and pack(kept.state))
        for token, kept in copies.items()
    }


def unpack_checkpoint(kept: SessionCheckpoint) -> SessionCheckpoint:
    """Unpack a checkpoint for a server to go on from; ValueError where the state is damaged."""
    return replace(kept, state=kept.state and unpack(kept.state))
