"""One viewer: the peer, the edits, the numbers and the control channel, tied to a place at the inference worker."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiortc import RTCSessionDescription
from av import AudioFrame, VideoFrame

from rigid.edits.face_edits import join_faces, part_faces
from rigid.edits.presets import Preset
from rigid.files.badge import Badge
from server.errors import ApiError
from server.frames.edit_timeline import AppliedEdits, SessionEdits
from server.frames.frame_editor import SessionFrame
from server.frames.stream_protocol import Stream
from server.session.control_channel import LABEL, Applied, ControlChannel
from server.session.liveness import Liveness
from server.session.request_models import EditsRequest
from server.session.resumable_sessions import SessionCheckpoint
from server.session.session_outputs import SessionOutputs
from server.session.shared_services import SharedServices
from server.session.states import Life, State, farewell
from server.session.stream_saver import StreamSaver
from server.session.video_path import VideoPath
from server.webrtc.offers import Offer
from server.webrtc.peer import DataChannel
from server.webrtc.trickle import IceResource

logger = logging.getLogger(__name__)

FAREWELL_SECONDS = 0.1
ENDING = {"failed": "connection_failed", "closed": "connection_closed", "video_ended": "video_ended"}
"""The reason for the session's end, by what its peer says of the connection."""


class Session:
    """Lives on the event loop; only its pictures are edited elsewhere.

    `on_closed(session, reason)` is called once, after everything is freed.
    """

    def __init__(
        self, stream: Stream, shared: SharedServices, on_closed: Callable[[Session, str], None], owner: str = ""
    ) -> None:
        # Of a worker of a cluster each begins with its name, so that whoever is asked for one knows where it is.
        place = f"{shared.config.worker}." if shared.config.worker else ""
        self.id = place + secrets.token_urlsafe(12)
        self.owner = owner
        """The name of the API key it was opened with, empty without one."""
        self.resume_token = place + secrets.token_urlsafe(24)
        self.created_at = datetime.now(UTC)
        self.resumed = False
        """Whether it goes on from an earlier one."""
        self.ramp_ms = shared.config.ramp_ms
        self.edits = SessionEdits()
        self.applied = AppliedEdits()
        self.badge = Badge(shared.config.badge)
        self._stream = stream
        self._shared = shared
        self._clock = shared.clock
        self._on_closed = on_closed
        self._path = VideoPath(shared, stream, self.edits, self.badge, self._deliver)
        self._state = StreamSaver(stream, self._path.lane, self.id)
        self.outputs = SessionOutputs(shared, self.video_delay)
        self._peer = shared.make_peer(shared.config, self, shared.encoding, self._clock)
        self.resource = IceResource(self._peer.add_candidates, place)
        self._control: ControlChannel | None = None
        self._closing: asyncio.Task[None] | None = None
        self._life = Life(self._clock, self._tell_state)
        self._liveness = Liveness(shared.config, self._clock, self._peer.find_last_heard, self.end)

    # ---- asked for by the client

    async def answer(self, offer: Offer) -> RTCSessionDescription:
        """The answer to an offer of `take_offer`."""
        self.resource.begin(offer.text)
        answer = await self._peer.answer(offer)
        self._life.enter(State.CONNECTING)
        return answer

    def apply(self, request: EditsRequest) -> Applied:
        """Start moving to new strengths, or to a preset. ApiError 422 for what is not on offer."""
        edits = self._shared.validate(request.edits)
        own = {int(number): self._shared.validate(one or {}) for number, one in request.faces.items()}
        self._require_faces({*own, *([] if request.face is None else [request.face])})
        ramp_ms, easing = self.ramp_ms, Preset.easing
        if request.preset is not None:
            preset = self._shared.preset(request.preset)
            edits, ramp_ms, easing = {**preset.edits, **edits}, preset.fade_ms, preset.easing
        ramp_ms = ramp_ms if request.ramp_ms is None else request.ramp_ms
        easing = request.easing or easing
        returning = {int(number) for number, one in request.faces.items() if one is None}
        alone = request.preset is not None
        if request.face is not None:
            shared, single = part_faces(self.edits.targets)
            others = dict.fromkeys({**shared, **single.get(request.face, {})}, 0.0) if alone else {}
            own[request.face] = {**others, **edits, **own.get(request.face, {})}
            edits, alone = {}, False
        edits = join_faces(edits, own)
        rev = self.edits.set(edits, ramp_ms / 1000, easing, alone=alone, returning=returning)
        return Applied(rev, ramp_ms, easing, self._shared.library.warnings(self.edits.targets))

    def _require_faces(self, numbers: set[int]) -> None:
        """ApiError 404 unless each is a face that is there, may come back, or has edits of its own already."""
        known = {*self._path.stats.faces.numbers, *part_faces(self.edits.targets)[1]}
        missing = sorted(numbers - known)
        if missing:
            there = ", ".join(map(str, sorted(known))) or "none"
            advice = "GET /api/v1/sessions/{id}/faces lists them."
            raise ApiError(404, "unknown_face", f"There is no face {missing[0]}; there are: {there}.", advice)

    def reanchor(self) -> None:
        """Take what all frames share afresh from the next ones."""
        self._stream.reanchor()

    def end(self, reason: str) -> asyncio.Task[None]:
        """Begin to close, for a stated reason; the task ends when everything is freed. Safe to call again."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(reason))
        return self._closing

    # ---- what is told of it

    @property
    def state(self) -> State:
        """The state the session is in."""
        return self._life.state

    @property
    def has_sound(self) -> bool:
        """Whether its client sends sound."""
        return self._peer.has_sound

    @property
    def counts(self) -> tuple[int, int]:
        """Pictures received in time and processed so far."""
        return self._path.stats.in_time, self._path.stats.processed

    def describe(self) -> dict[str, object]:
        """The session in brief."""
        return {
            "id": self.id,
            "state": self.state.value,
            "reason": self._life.reason,
            "message": self._life.message,
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "rev": self.edits.rev,
            **self.describe_edits(),
            "applied": self.applied.describe(),
            "networks": dict(self._shared.config.networks),
        }

    def describe_edits(self) -> dict[str, Any]:
        """What every attribute is heading for, for all faces and for single ones."""
        shared, single = part_faces(self.edits.targets)
        return {"edits": shared, "faces": {str(number): own for number, own in single.items()}}

    def describe_faces(self) -> list[dict[str, object]]:
        """The faces in the newest picture."""
        return self._path.stats.faces.describe()

    def describe_stats(self) -> dict[str, object]:
        """The session in numbers, as `GET …/stats` gives them and, less `id`, the control channel."""
        return {
            **self.describe(),
            **self._path.describe(),
            "badge": self.badge.place,
            "recording": self.outputs.describe_recording(),
        }

    def checkpoint(self) -> SessionCheckpoint:
        """What the session leaves for its client to go on from; the stream's state is brought up to date meanwhile."""
        self._state.checkpoint(self._path.stats.processed)
        return SessionCheckpoint(self.edits.targets, self._state.saved, self.owner)

    # ---- looked after once a second

    async def tick(self) -> None:
        """See how it goes, and tell the client."""
        if self._control is not None:
            self._control.send("stats", **self.describe_stats())
        counts = await self._peer.count()
        self._path.look(counts)
        self._liveness.note_counts(counts)
        self.outputs.tick()
        if self._closing is None and self._liveness.connected:
            self._life.look(self._liveness.health(self._path.stats))
            self._liveness.check_soon()

    def keep_limits(self) -> None:
        """End with nobody who uses it any more, or after long enough; whatever becomes of the numbers in `tick`."""
        self._liveness.check()

    # ---- what happens at the peer

    def on_picture(self, frame: VideoFrame) -> None:
        """Have a picture edited."""
        now = self._clock()
        self._liveness.note_picture(now)
        self.outputs.note_picture(frame, now)
        if self.state == State.PAUSED:
            self._peer.refresh()
        self._path.take(frame, now)

    def on_sound(self, frame: AudioFrame) -> None:
        """Pass a sound on to those who watch, and to the recording."""
        self.outputs.hear(frame, self._clock())

    def on_picture_sent(self, age: float) -> None:
        """Note the age of a picture that goes to the encoder."""
        self._path.note_sent(age)

    def video_delay(self, now: float) -> float | None:
        """Seconds a picture takes through the server, None while unknown."""
        return self._path.delay.at(now)

    def on_connection_change(self, state: str) -> None:
        """End with the connection; count silence from its begin."""
        if state in ENDING:
            self.end(ENDING[state])
        elif state == "connected":
            self._liveness.connect()

    def on_channel(self, channel: DataChannel) -> None:
        """Speak on the channel named `control`; another one is of no use here."""
        if channel.label != LABEL:
            channel.close()
            return
        self._control = ControlChannel(channel, self.apply, self.applied.expect, self.reanchor, self._clock)
        self._tell_state()

    def _tell_state(self) -> None:
        if self._control is not None and self.state != State.CLOSED:
            self._control.send("state", **self.describe())

    # ---- a picture back from the worker

    def _deliver(self, done: SessionFrame) -> None:
        if self._closing is not None:
            return
        stats = self._path.stats
        stats.note_processed(done)
        if done.shown is None:
            stats.note_dropped("unusable")
            return
        self.outputs.show(done.shown, done.arrived, self.edits.targets)
        if not self._peer.returns_video:
            self._path.note_sent(self._clock() - done.arrived)
        elif self._peer.send(done.shown, done.arrived):
            stats.note_dropped("unsent")
        if self.state in (State.CONNECTING, State.PAUSED):
            self._life.enter(State.LIVE)
        if self.applied.note(done.rev, stats.processed) and self._control is not None:
            # Of edits that came another way too, so that the client knows what holds.
            self._control.send("applied", rev=done.rev, applied_frame=stats.processed)
        if self._control is not None:
            self._control.tell_faces(self.describe_faces)

    # ---- the end

    async def _close(self, reason: str) -> None:
        try:
            self._life.enter(State.CLOSED, reason)
            self.outputs.end_recording()
            watchers = self.outputs.end_watchers()
            if self._control is not None and self._control.send("session_ended", **farewell(reason)):
                await asyncio.sleep(FAREWELL_SECONDS)
            for done in await asyncio.gather(self._peer.close(), *watchers, return_exceptions=True):
                if isinstance(done, BaseException):
                    logger.error("A connection of session %s did not close", self.id, exc_info=done)
            self._state.release()
            await self._state.wait()
            await self.outputs.close()
        except Exception:  # whatever fails on the way out, the place must become free
            logger.exception("Session %s did not end as it should", self.id)
        finally:
            self._state.release()
            self._path.stats.end()
            self._on_closed(self, reason)
