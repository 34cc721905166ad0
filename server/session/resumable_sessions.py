"""What is left of ended sessions for a while, so that a client that lost its connection goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

FINAL = frozenset({"deleted", "left", "server_shutdown", "bad_offer", "time_limit", "never_connected"})
"""Ends after which nobody comes back; of these nothing is kept: the state holds pictures of the viewer's face."""


@dataclass(frozen=True)
class SessionCheckpoint:
    """What a session leaves for its client to come back to."""

    edits: Mapping[str, float]
    """The strengths its attributes were heading for."""
    state: bytes | None
    """Its stream's, None where there was none to save."""
    owner: str = ""
    """The name of the API key that may go on from it, empty without one."""


class ResumableSessions:
    """Keeps at most `most` of them, each for `seconds`; the oldest goes first. In memory only."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._kept: dict[str, tuple[SessionCheckpoint, float]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, token: str, kept: SessionCheckpoint) -> None:
        """Keep it under the token the client has."""
        self._kept.pop(token, None)
        self._kept[token] = (kept, self._clock() + self._seconds)
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def find(self, token: str) -> SessionCheckpoint | None:
        """What is kept under a token, if it still is."""
        self.forget_old()
        kept, _ = self._kept.get(token, (None, 0.0))
        return kept

    def all(self) -> dict[str, SessionCheckpoint]:
        """Return all that is kept, by token."""
        self.forget_old()
        return {token: kept for token, (kept, _) in self._kept.items()}

    def forget(self, token: str) -> None:
        """Keep it no longer."""
        self._kept.pop(token, None)

    def forget_old(self) -> None:
        """Let go of what nobody came back for in time."""
        now = self._clock()
        self._kept = {token: entry for token, entry in self._kept.items() if entry[1] > now}

    def clear(self) -> None:
        """Let go of everything."""
        self._kept.clear()
