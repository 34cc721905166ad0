"""The sessions that are open, found by what their clients know of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import partial

from server.access.api_keys import caller
from server.errors import ApiError
from server.metrics import Metrics
from server.session.session import Session
from server.session.states import State, ending
from server.webrtc.whep_peer import WhepPeer

ENDED_REMEMBERED = 256
"""Of ended sessions, so that a late request is told why."""


class OpenSessions:
    """Shows each caller its own sessions; it is used on the event loop only."""

    def __init__(self, metrics: Metrics) -> None:
        self._open: dict[str, Session] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        metrics.watchers.set_function(self.count_watchers)
        for state in set(State) - {State.CLOSED}:
            metrics.sessions.labels(state.value).set_function(partial(self._count, state))

    def __iter__(self) -> Iterator[Session]:
        """All of them, whosever they are."""
        return iter(list(self._open.values()))

    def add(self, session: Session) -> None:
        """Have a new session found."""
        self._open[session.id] = session

    def remove(self, session: Session, reason: str) -> None:
        """Have a session found no longer, and remember why."""
        self._open.pop(session.id, None)
        self._ended[session.id] = reason
        if len(self._ended) > ENDED_REMEMBERED:
            self._ended.popitem(last=False)

    def visible(self) -> list[Session]:
        """List the sessions of whoever makes the request at hand."""
        return [session for session in self if session.owner == caller.get()]

    def find(self, identity: str) -> Session:
        """The session of that id; ApiError 404 where there is none, or another key's, 410 where it has ended."""
        session = self._open.get(identity)
        if session is not None and session.owner == caller.get():
            return session
        reason = self._ended.get(identity)
        if reason is not None:
            raise ApiError(410, "session_closed", f"The session has ended: {ending(reason)}.", "Open a new one.")
        raise ApiError(404, "unknown_session", f"There is no session {identity!r}.", "GET /api/v1/sessions lists them.")

    def find_secret(self, secret: str) -> Session:
        """The session whose WHIP resource this is; ApiError 404 where there is none."""
        for session in self.visible():
            if session.resource.secret == secret:
                return session
        raise ApiError(404, "unknown_session", "There is no such WHIP session.", "It may have ended.")

    def find_token(self, token: str | None) -> Session | None:
        """The session of a resume token; None where there is none, or another key's."""
        return next((one for one in self.visible() if one.resume_token == token), None)

    def find_watcher(self, identity: str, secret: str) -> WhepPeer:
        """The watcher whose WHEP resource this is; ApiError 404 where there is none."""
        watcher = self.find(identity).outputs.watchers.get(secret)
        if watcher is None:
            raise ApiError(404, "unknown_session", "There is no such WHEP session.", "It may have ended.")
        return watcher

    def count_watchers(self) -> int:
        """Count who watches, of all sessions together."""
        return sum(len(session.outputs.watchers) for session in self)

    def _count(self, state: State) -> int:
        return sum(session.state == state for session in self)
