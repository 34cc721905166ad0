"""Whether there is room for another session: places, those of a key, and what this machine is seen to do."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.access.api_keys import caller
from server.errors import ApiError
from server.session.open_sessions import OpenSessions
from server.session.session import Session
from server.session.shared_services import SharedServices
from server.session.states import State

LOOKS = 6
"""Looks, one a second."""
LEAST_LOOKS = 3
FULL_SHARE = 0.9
"""Where fewer than this share of the pictures that come are edited, the machine does all it can."""

BUSY = frozenset({State.NEW, State.CONNECTING, State.LIVE, State.DEGRADED_INPUT, State.DEGRADED_INFERENCE})
"""Sessions of these states have, or will have, pictures to edit."""
RETRY_SECONDS = "5"


class Capacity:
    """Knows how many pictures a second this machine edits, of all sessions together."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, int]] = deque(maxlen=LOOKS)

    def observe(self, now: float, received: int, processed: int) -> None:
        """Note the counts up to `now`, seconds; they never fall."""
        self._looks.append((now, received, processed))

    @property
    def rate(self) -> float:
        """Pictures a second that are edited now."""
        if len(self._looks) < 2 or self._looks[-1][0] <= self._looks[0][0]:
            return 0.0
        return (self._looks[-1][2] - self._looks[0][2]) / (self._looks[-1][0] - self._looks[0][0])

    @property
    def limit(self) -> float | None:
        """Pictures a second that can be edited; None while there is room to spare, or too little was seen."""
        if len(self._looks) < LEAST_LOOKS:
            return None
        (began, received_before, processed_before), (ended, received, processed) = self._looks[0], self._looks[-1]
        came, edited = received - received_before, processed - processed_before
        if ended <= began or edited >= FULL_SHARE * came:
            return None
        return edited / (ended - began)

    def share(self, sessions: int) -> float | None:
        """Pictures a second that each of so many sessions would get; None where there is room to spare."""
        limit = self.limit
        return None if limit is None else limit / max(1, sessions)


@dataclass(frozen=True)
class Load:
    """What a server carries, for whoever chooses between several."""

    sessions: int
    """Those that are being opened too."""
    limit_fps: float | None
    """Pictures a second that it can edit; None while there is room to spare."""
    fps: float
    """Pictures a second that it edits now."""
    owners: dict[str, int]
    """Sessions by the name of their API key."""


@dataclass(frozen=True, eq=False)
class Opening:
    """A session that is being opened."""

    owner: str
    replaced: str
    """The id of the one that it goes on from and whose place it takes; empty without one."""


class Admission:
    """Gives a session its place while it is opened, or says why it gets none; it is used on the event loop only."""

    def __init__(self, shared: SharedServices, sessions: OpenSessions) -> None:
        self.draining = False
        """Whether the server is about to end."""
        self.on_reserved: Callable[[], None] = lambda: None
        """Called, in the request's own context, at the very moment from which `load` counts its session."""
        self._config = shared.config
        self._metrics = shared.metrics
        self._clock = shared.clock
        self._sessions = sessions
        self._opening: list[Opening] = []
        self._capacity = Capacity()
        self._ended_counts = (0, 0)

    @contextmanager
    def hold_place(self, token: str | None) -> Iterator[None]:
        """Hold a place for a session that is being opened; the one of `token`, which it goes on from, gives up its own.

        ApiError where there is none.
        """
        self.check_draining()
        replaced = self._sessions.find_token(token)
        opening = Opening(caller.get(), replaced.id if replaced and not self._is_given_up(replaced) else "")
        self._opening.append(opening)
        try:
            self._check_key()
            allowed = self._config.max_sessions
            if self._count_taken() > allowed:
                raise self._refuse("full", 503, "server_full", f"All {allowed} places are taken.")
            self._check_capacity()
            self.on_reserved()
            yield
        finally:
            self._opening.remove(opening)

    def check_draining(self) -> None:
        """ApiError 503 while the server is about to end."""
        if self.draining:
            message = "The server is about to end."
            raise ApiError(503, "draining", message, "Try again in a moment.", {"Retry-After": RETRY_SECONDS})

    def check_watchers(self) -> None:
        """ApiError 503 where there is no room for one more viewer over WHEP."""
        allowed = self._config.max_watchers
        if self._sessions.count_watchers() >= allowed:
            raise self._refuse("watchers", 503, "too_many_viewers", f"All {allowed} viewers' places are taken.")

    @property
    def load(self) -> Load:
        """Tell how busy the server is."""
        owners = Counter(one.owner for one in (*self._sessions, *self._opening))
        return Load(self._count_taken(), self._capacity.limit, self._capacity.rate, dict(owners))

    def measure(self) -> None:
        """Look, once a second, how many pictures came and were edited."""
        counts = [self._ended_counts, *(session.counts for session in self._sessions)]
        received, processed = (sum(column) for column in zip(*counts, strict=True))
        self._capacity.observe(self._clock(), received, processed)
        self._metrics.limit.set(self._capacity.limit or math.nan)

    def note_ended(self, session: Session) -> None:
        """Go on counting the pictures of a session that has ended."""
        received, processed = session.counts
        self._ended_counts = (self._ended_counts[0] + received, self._ended_counts[1] + processed)

    def _is_given_up(self, session: Session) -> bool:
        """Whether the place of a session goes to one that is being opened."""
        return any(one.replaced == session.id for one in self._opening)

    def _count_taken(self, owner: str | None = None) -> int:
        """Places that are taken, those of sessions that are being opened too; `owner`: of that key alone."""
        running = [one for one in self._sessions if owner in (None, one.owner) and not self._is_given_up(one)]
        return len(running) + sum(owner in (None, one.owner) for one in self._opening)

    def _check_key(self) -> None:
        allowed = self._config.max_sessions_per_key
        if caller.get() and allowed is not None and self._count_taken(caller.get()) > allowed:
            message = f"All {allowed} sessions of this key are taken."
            raise self._refuse("key", 429, "key_full", message, "Close one of them.")

    def _check_capacity(self) -> None:
        running = sum(session.state in BUSY and not self._is_given_up(session) for session in self._sessions)
        sessions = len(self._opening) + running
        share = self._capacity.share(sessions)
        if share is not None and sessions > 1 and share < self._config.min_fps:
            message = f"This machine is busy: another session would leave each {share:.1f} pictures a second."
            raise self._refuse("capacity", 503, "no_capacity", message)

    def _refuse(self, reason: str, status: int, code: str, message: str, hint: str = "Try again later.") -> ApiError:
        self._metrics.refused.labels(reason).inc()
        return ApiError(status, code, message, hint, {"Retry-After": RETRY_SECONDS})
