"""All sessions of a server: admission, the once-a-second round, and the end."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from aiortc import RTCSessionDescription

from server.access.api_keys import caller
from server.errors import ApiError
from server.frames.stream_protocol import MakeStream, Stream
from server.session.admission import Capacity
from server.session.liveness import TICK_SECONDS
from server.session.request_models import SessionRequest
from server.session.resumable_sessions import FINAL, ResumableSessions, SessionCheckpoint
from server.session.session import Session
from server.session.shared_services import SharedServices
from server.session.states import State, ending
from server.webrtc.offer_bounds import check_size
from server.webrtc.offers import Offer, take_offer, take_watch_offer
from server.webrtc.whep_peer import WhepPeer

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""For the numbers of one session, which are there at once."""
DRAIN_POLL_SECONDS = 0.1
RETRY_SECONDS = "5"
REMEMBERED = 256
"""Of ended sessions, so that a late request is told why."""


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
class _Opening:
    """A session that is being opened."""

    owner: str
    replaced: str
    """The id of the one that it goes on from and whose place it takes; empty without one."""


class SessionManager:
    """Opens, finds and closes sessions; on the event loop only."""

    def __init__(self, shared: SharedServices, make_stream: MakeStream) -> None:
        self._shared = shared
        self._make_stream = make_stream
        self._sessions: dict[str, Session] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        self._left: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """Owner and resume token of sessions that ended without having been asked to, by WHIP secret."""
        self._opening: list[_Opening] = []
        self.on_reserved: Callable[[], None] = lambda: None
        """Called, in the request's own context, at the very moment from which `load` counts its session."""
        self._capacity = Capacity()
        self._ended_counts = (0, 0)
        self.draining = False
        config = shared.config
        self._resumable = ResumableSessions(config.resume_seconds, config.max_resumable, shared.clock)
        self._ticker: asyncio.Task[None] | None = None
        shared.metrics.watchers.set_function(lambda: self.watchers)
        for state in set(State) - {State.CLOSED}:
            shared.metrics.sessions.labels(state.value).set_function(partial(self._count, state))

    def start(self) -> None:
        """Begin the once-a-second round."""
        self._ticker = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Close every session and end the round."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await asyncio.gather(*(session.end("server_shutdown") for session in self))
        self._resumable.clear()

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def find(self, identity: str) -> Session:
        """The session of that id; ApiError 404 where there is none, or another key's, 410 where it has ended."""
        session = self._sessions.get(identity)
        if session is not None and session.owner == caller.get():
            return session
        reason = self._ended.get(identity)
        if reason is not None:
            raise ApiError(410, "session_closed", f"The session has ended: {ending(reason)}.", "Open a new one.")
        raise ApiError(404, "unknown_session", f"There is no session {identity!r}.", "GET /api/v1/sessions lists them.")

    def visible(self) -> list[Session]:
        """List the sessions of whoever makes the request at hand."""
        return [session for session in self if session.owner == caller.get()]

    def find_secret(self, secret: str) -> Session:
        """The session whose WHIP resource this is; ApiError 404 where there is none."""
        for session in self.visible():
            if session.resource.secret == secret:
                return session
        raise ApiError(404, "unknown_session", "There is no such WHIP session.", "It may have ended.")

    async def end_secret(self, secret: str) -> None:
        """End the session whose WHIP resource this is; ApiError 404 where there is none.

        Some clients, such as OBS, close their connection first: then it was meant, and nothing is kept for a return.
        """
        if secret not in self._left or self._left[secret][0] != caller.get():
            await self.find_secret(secret).end("deleted")
        # It may have been ending for another reason already.
        _, token = self._left.pop(secret, ("", ""))
        self._resumable.forget(token)

    @property
    def load(self) -> Load:
        """Tell how busy the server is."""
        owners = Counter(one.owner for one in (*self, *self._opening))
        return Load(self._count_taken(), self._capacity.limit, self._capacity.rate, dict(owners))

    async def watch(self, identity: str, offer: str) -> tuple[WhepPeer, RTCSessionDescription]:
        """Let somebody watch a session. ApiError where the offer, the session or the room do not allow it."""
        session = self.find(identity)
        check_size(offer)
        allowed = self._shared.config.max_watchers
        if self.watchers >= allowed:
            self._shared.metrics.refused.labels("watchers").inc()
            message = f"All {allowed} viewers' places are taken."
            raise ApiError(503, "too_many_viewers", message, "Try again later.", {"Retry-After": RETRY_SECONDS})
        taken = await asyncio.to_thread(take_watch_offer, offer)
        return await session.outputs.watch(taken)

    @property
    def watchers(self) -> int:
        """Count who watches, of all sessions together."""
        return sum(len(session.outputs.watchers) for session in self)

    def find_watcher(self, identity: str, secret: str) -> WhepPeer:
        """The watcher whose WHEP resource this is; ApiError 404 where there is none."""
        watcher = self.find(identity).outputs.watchers.get(secret)
        if watcher is None:
            raise ApiError(404, "unknown_session", "There is no such WHEP session.", "It may have ended.")
        return watcher

    async def open(self, request: SessionRequest) -> tuple[Session, RTCSessionDescription]:
        """Open a session for an offer. ApiError where the offer, its edits or the room do not allow one.

        With the token of one that was lost, it goes on from there: with its edits, and its stream's state.
        """
        edits = self._shared.validate(request.edits)
        check_size(request.sdp)
        opening = self._reserve(request.resume_token)
        try:
            offer = await asyncio.to_thread(take_offer, request.sdp, request.type)
            kept = await self._take_over(request.resume_token)
            # A face tracker takes a moment to load.
            stream = await asyncio.to_thread(self._new_stream, kept.state if kept else None)
        finally:
            self._opening.remove(opening)
        session, answer = await self._connect(offer, stream)
        session.resumed = kept is not None
        if request.resume_token is not None and kept is not None:
            self._resumable.forget(request.resume_token)
        edits = {**(self._still_valid(kept.edits) if kept else {}), **edits}
        if request.options.ramp_ms is not None:
            session.ramp_ms = request.options.ramp_ms
        if request.options.badge is not None:
            session.badge.on = request.options.badge
        if edits:
            session.edits.set(edits, 0.0)
        return session, answer

    async def _take_over(self, token: str | None) -> SessionCheckpoint | None:
        """End the session that a client comes back from, so that it does not stand in its own way; what it leaves."""
        if token is None:
            return None
        if (session := self._running(token)) is not None:
            await session.end("replaced")
        kept = self._resumable.find(token)
        return kept if kept is not None and kept.owner == caller.get() else None

    def _running(self, token: str | None) -> Session | None:
        """The session of a resume token, where it is that of whoever makes the request at hand."""
        return next((one for one in self.visible() if one.resume_token == token), None)

    def _still_valid(self, edits: Mapping[str, float]) -> dict[str, float]:
        """Those of an earlier session that are still on offer: it may have been another server's, or an hour ago."""
        valid: dict[str, float] = {}
        for name, strength in edits.items():
            try:
                valid |= self._shared.validate({name: strength})
            except ApiError as error:
                logger.warning("A session goes on without one of its edits: %s", error)
        return valid

    def remember(self, token: str, kept: SessionCheckpoint) -> None:
        """Keep what a session left elsewhere, so that its client can go on from it here."""
        self._resumable.put(token, kept)

    async def give_up(self, token: str) -> SessionCheckpoint | None:
        """End the session of that token, for it to go on elsewhere; what it leaves, None without one."""
        return await self._take_over(token)

    def list_left_behind(self) -> dict[str, SessionCheckpoint]:
        """List what is kept of ended sessions, by token."""
        return self._resumable.all()

    def forget(self, token: str) -> None:
        """Keep nothing more under that token: its session goes on elsewhere."""
        self._resumable.forget(token)

    async def move_out(self) -> int:
        """Take no new sessions, and end all that run for their clients to come back elsewhere; how many they were."""
        self.draining = True
        running = list(self)
        await asyncio.gather(*(session.end("moved") for session in running))
        return len(running)

    async def drain(self, seconds: float) -> None:
        """Take no new sessions, and wait until those that run have ended, at most `seconds`."""
        self.draining = True
        deadline = time.monotonic() + seconds
        while self._sessions and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN_POLL_SECONDS)

    def check_draining(self) -> None:
        """ApiError 503 while the server is about to end."""
        if self.draining:
            message = "The server is about to end."
            raise ApiError(503, "draining", message, "Try again in a moment.", {"Retry-After": RETRY_SECONDS})

    def _reserve(self, token: str | None) -> _Opening:
        """Take a place for a session that is being opened. One that it goes on from gives up its own."""
        self.check_draining()
        replaced = self._running(token)
        if replaced is not None and self._is_given_up(replaced):
            replaced = None
        opening = _Opening(caller.get(), replaced.id if replaced else "")
        self._opening.append(opening)
        try:
            self._check_key()
            allowed = self._shared.config.max_sessions
            if self._count_taken() > allowed:
                self._shared.metrics.refused.labels("full").inc()
                message = f"All {allowed} places are taken."
                raise ApiError(503, "server_full", message, "Try again later.", {"Retry-After": RETRY_SECONDS})
            self._check_capacity()
        except ApiError:
            self._opening.remove(opening)
            raise
        self.on_reserved()
        return opening

    def _is_given_up(self, session: Session) -> bool:
        """Whether the place of a session goes to one that is being opened."""
        return any(one.replaced == session.id for one in self._opening)

    def _count_taken(self, owner: str | None = None) -> int:
        """Places that are taken, those of sessions that are being opened too; `owner`: of that key alone."""
        running = [one for one in self if owner in (None, one.owner) and not self._is_given_up(one)]
        return len(running) + sum(owner in (None, one.owner) for one in self._opening)

    def _check_key(self) -> None:
        allowed = self._shared.config.max_sessions_per_key
        if caller.get() and allowed is not None and self._count_taken(caller.get()) > allowed:
            self._shared.metrics.refused.labels("key").inc()
            message = f"All {allowed} sessions of this key are taken."
            raise ApiError(429, "key_full", message, "Close one of them.", {"Retry-After": RETRY_SECONDS})

    async def _connect(self, offer: Offer, stream: Stream) -> tuple[Session, RTCSessionDescription]:
        session = Session(stream, self._shared, self._forget, caller.get())
        self._sessions[session.id] = session
        try:
            answer = await session.answer(offer)
        except BaseException:
            await session.end("bad_offer")
            raise
        self._shared.metrics.opened.inc()
        return session, answer

    def _new_stream(self, state: bytes | None) -> Stream:
        stream = self._make_stream()
        if state is not None:
            try:
                stream.restore(state)
                self._shared.metrics.resumed.inc()
            except ValueError as error:
                logger.warning("A session begins anew: %s", error)
        return stream

    def _forget(self, session: Session, reason: str) -> None:
        self._sessions.pop(session.id, None)
        received, processed = session.counts
        self._ended_counts = (self._ended_counts[0] + received, self._ended_counts[1] + processed)
        self._ended[session.id] = reason
        if reason not in FINAL:
            self._resumable.put(session.resume_token, session.checkpoint())
            self._left[session.resource.secret] = (session.owner, session.resume_token)
        for remembered in (self._ended, self._left):
            while len(remembered) > REMEMBERED:
                remembered.popitem(last=False)
        self._shared.metrics.closed.labels(reason).inc()
        logger.info("Session %s closed: %s", session.id, reason)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._resumable.forget_old()
            self._measure()
            for session in self:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await session.tick()
                except Exception:  # one session's trouble must not end the round that watches all
                    logger.exception("Session %s could not be looked after", session.id)
                # It must end in time, even where its numbers cannot be had.
                session.keep_limits()

    def _measure(self) -> None:
        counts = [session.counts for session in self]
        received = self._ended_counts[0] + sum(one for one, _ in counts)
        processed = self._ended_counts[1] + sum(other for _, other in counts)
        self._capacity.observe(self._shared.clock(), received, processed)
        self._shared.metrics.limit.set(self._capacity.limit or math.nan)

    def _check_capacity(self) -> None:
        busy = {State.NEW, State.CONNECTING, State.LIVE, State.DEGRADED_INPUT, State.DEGRADED_INFERENCE}
        running = sum(session.state in busy and not self._is_given_up(session) for session in self)
        sessions = len(self._opening) + running
        share = self._capacity.share(sessions)
        if share is not None and sessions > 1 and share < self._shared.config.min_fps:
            self._shared.metrics.refused.labels("capacity").inc()
            message = f"This machine is busy: another session would leave each {share:.1f} pictures a second."
            raise ApiError(503, "no_capacity", message, "Try again later.", {"Retry-After": RETRY_SECONDS})

    def _count(self, state: State) -> int:
        return sum(session.state == state for session in self)
