"""All sessions of a server: how they are opened, looked after once a second, gone on with, and ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping

from aiortc import RTCSessionDescription

from server.access.api_keys import caller
from server.errors import ApiError
from server.frames.stream_protocol import MakeStream, Stream
from server.session.admission import Admission
from server.session.open_sessions import ENDED_REMEMBERED, OpenSessions
from server.session.request_models import SessionRequest
from server.session.resumable_sessions import FINAL, ResumableSessions, SessionCheckpoint
from server.session.session import Session
from server.session.shared_services import SharedServices
from server.webrtc.offer_bounds import check_size
from server.webrtc.offers import Offer, take_offer, take_watch_offer
from server.webrtc.whep_peer import WhepPeer

logger = logging.getLogger(__name__)

TICK_LIMIT_SECONDS = 5.0
"""For the numbers of one session, which are there at once."""
DRAIN_POLL_SECONDS = 0.1


class SessionManager:
    """Opens and ends sessions; it is used on the event loop only."""

    def __init__(self, shared: SharedServices, make_stream: MakeStream) -> None:
        config = shared.config
        self.sessions = OpenSessions(shared.metrics)
        self.admission = Admission(shared, self.sessions)
        self.resumable = ResumableSessions(config.resume_seconds, config.max_resumable, shared.clock)
        self._shared = shared
        self._make_stream = make_stream
        self._left: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """Owner and resume token of sessions that ended without having been asked to, by WHIP secret."""
        self._ticker: asyncio.Task[None] | None = None

    # ---- from the server's start to its end

    def start(self) -> None:
        """Begin the round that looks after sessions."""
        self._ticker = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Close every session and end the round."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await self._end_all("server_shutdown")
        self.resumable.clear()

    async def drain(self, seconds: float) -> None:
        """Take no new sessions, and wait until those that run have ended, at most `seconds`."""
        self.admission.draining = True
        deadline = time.monotonic() + seconds
        while list(self.sessions) and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN_POLL_SECONDS)

    async def move_out(self) -> int:
        """Take no new sessions, and end all that run for their clients to come back elsewhere; how many they were."""
        self.admission.draining = True
        return await self._end_all("moved")

    async def _end_all(self, reason: str) -> int:
        return len(await asyncio.gather(*(session.end(reason) for session in self.sessions)))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._shared.tick_seconds)
            self.resumable.forget_old()
            self.admission.measure()
            for session in self.sessions:
                try:
                    async with asyncio.timeout(TICK_LIMIT_SECONDS):
                        await session.tick()
                except Exception:  # one session's trouble must not end the round that watches all
                    logger.exception("Session %s could not be looked after", session.id)
                # It must end in time, even where its numbers cannot be had.
                session.keep_limits()

    # ---- a session's begin

    async def open(self, request: SessionRequest) -> tuple[Session, RTCSessionDescription]:
        """Open a session for an offer. ApiError where the offer, its edits or the room do not allow one.

        With the token of one that was lost, it goes on from there: with its edits, and its stream's state.
        """
        edits = self._shared.validate(request.edits)
        check_size(request.sdp)
        with self.admission.hold_place(request.resume_token):
            offer = await asyncio.to_thread(take_offer, request.sdp, request.type)
            kept = None if request.resume_token is None else await self.take_over(request.resume_token)
            # A face tracker takes a moment to load.
            stream = await asyncio.to_thread(self._new_stream, kept.state if kept else None)
        session, answer = await self._connect(offer, stream)
        if request.resume_token is not None and kept is not None:
            session.resumed = True
            self.resumable.forget(request.resume_token)
            edits = {**self._still_valid(kept.edits), **edits}
        if request.options.ramp_ms is not None:
            session.ramp_ms = request.options.ramp_ms
        if request.options.badge is not None:
            session.badge.on = request.options.badge
        if edits:
            session.edits.set(edits, 0.0)
        return session, answer

    async def take_over(self, token: str) -> SessionCheckpoint | None:
        """End the session of a token, for its client to go on here or elsewhere; what it leaves, None without one."""
        if (session := self.sessions.find_token(token)) is not None:
            await session.end("replaced")
        kept = self.resumable.find(token)
        return kept if kept is not None and kept.owner == caller.get() else None

    async def watch(self, identity: str, offer: str) -> tuple[WhepPeer, RTCSessionDescription]:
        """Let somebody watch a session. ApiError where the offer, the session or the room do not allow it."""
        session = self.sessions.find(identity)
        check_size(offer)
        self.admission.check_watchers()
        taken = await asyncio.to_thread(take_watch_offer, offer)
        return await session.outputs.watch(taken)

    async def _connect(self, offer: Offer, stream: Stream) -> tuple[Session, RTCSessionDescription]:
        session = Session(stream, self._shared, self._note_closed, caller.get())
        self.sessions.add(session)
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

    def _still_valid(self, edits: Mapping[str, float]) -> dict[str, float]:
        """Keep those edits of an earlier session that are on offer: it may have been another server's, or long ago."""
        valid: dict[str, float] = {}
        for name, strength in edits.items():
            try:
                valid |= self._shared.validate({name: strength})
            except ApiError as error:
                logger.warning("A session goes on without one of its edits: %s", error)
        return valid

    # ---- a session's end

    async def end_secret(self, secret: str) -> None:
        """End the session whose WHIP resource this is; ApiError 404 where there is none.

        Some clients, such as OBS, close their connection first: then it was meant, and nothing is kept for a return.
        """
        if secret not in self._left or self._left[secret][0] != caller.get():
            await self.sessions.find_secret(secret).end("deleted")
        # It may have been ending for another reason already.
        _, token = self._left.pop(secret, ("", ""))
        self.resumable.forget(token)

    def _note_closed(self, session: Session, reason: str) -> None:
        self.sessions.remove(session, reason)
        self.admission.note_ended(session)
        if reason not in FINAL:
            self.resumable.put(session.resume_token, session.checkpoint())
            self._left[session.resource.secret] = (session.owner, session.resume_token)
            if len(self._left) > ENDED_REMEMBERED:
                self._left.popitem(last=False)
        self._shared.metrics.closed.labels(reason).inc()
        logger.info("Session %s closed: %s", session.id, reason)
