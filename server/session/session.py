"""One viewer: the peer, the edits, the numbers and the control channel, tied to a place at the inference worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from aiortc import RTCIceCandidate, RTCSessionDescription
from av import AudioFrame, VideoFrame

from rigid.edits.presets import Preset
from rigid.files.badge import Badge
from server.frames.edit_timeline import AppliedEdits, SessionEdits
from server.frames.frame_editor import FrameEditor, SessionFrame
from server.frames.freshness import Freshness
from server.frames.pacing import Pacer
from server.frames.stream_protocol import Stream
from server.session.control_channel import LABEL, Applied, ControlChannel
from server.session.liveness import Liveness
from server.session.request_models import EditsRequest
from server.session.session_counters import SessionCounters
from server.session.session_outputs import SessionOutputs
from server.session.session_stats import VideoDelay
from server.session.shared_services import SharedServices
from server.session.states import Life, State, farewell
from server.webrtc.offer_bounds import check_candidates, count_candidates
from server.webrtc.offers import Offer
from server.webrtc.peer import DataChannel
from server.webrtc.trickle import ufrag_of

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""How often a session is looked after."""
COARSE_SECONDS = 0.01
"""A timer may be as early as its clock is coarse."""
FAREWELL_SECONDS = 0.1
SAVE_SECONDS = 2.0
"""How long an ending session waits for its turn at the inference thread."""
ENDING = {"failed": "connection_failed", "closed": "connection_closed", "video_ended": "video_ended"}
"""The reason for the session's end, by what its peer says of the connection."""


class Session:
    """Lives on the event loop; only its `FrameEditor` works elsewhere.

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
        self.secret = place + secrets.token_urlsafe(24)
        """Names its WHIP resource."""
        self.etag = f'"{secrets.token_hex(8)}"'
        self.ufrag: str | None = None
        self._candidates = 0
        self.created_at = datetime.now(UTC)
        self.resumed = False
        """Whether it goes on from an earlier one."""
        self.saved_state: bytes | None = None
        """Its stream's state: as of the last checkpoint, and once the session has ended its last."""
        self._saved_at = 0
        self.ramp_ms = shared.config.ramp_ms
        self.edits = SessionEdits()
        self.applied = AppliedEdits()
        self.badge = Badge(shared.config.badge)
        self.outputs = SessionOutputs(shared, self.video_delay)
        self._counters = SessionCounters(shared.metrics)
        self._delay = VideoDelay()
        self._freshness = Freshness(shared.config.late_seconds)
        self._pacer = Pacer(_seconds(shared.config.latency_budget_ms))
        self._stream = stream
        self._shared = shared
        self._clock = shared.clock
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._editor = FrameEditor(stream, self.edits, self._hand_over, self._clock, self.badge)
        self._lane = shared.worker.lane(*self._editor.stages)
        self._peer = shared.make_peer(shared.config, self, shared.encoding, self._clock)
        self._control: ControlChannel | None = None
        self._closing: asyncio.Task[None] | None = None
        self._released: asyncio.Future[bytes | None] = self._loop.create_future()
        self._life = Life(self._clock, self._tell_state)
        self._liveness = Liveness(shared.config, self._clock)

    @property
    def counts(self) -> tuple[int, int]:
        """Pictures received in time and processed so far."""
        return self._counters.in_time, self._counters.stats.counts["processed"]

    # ---- asked for by the client

    @property
    def state(self) -> State:
        """The state the session is in."""
        return self._life.state

    @property
    def has_sound(self) -> bool:
        """Whether its client sends sound."""
        return self._peer.has_sound

    async def answer(self, offer: Offer) -> RTCSessionDescription:
        """The answer to an offer of `take_offer`."""
        self.ufrag = ufrag_of(offer.text)
        self._candidates = count_candidates(offer.text)
        answer = await self._peer.answer(offer)
        self._life.enter(State.CONNECTING)
        return answer

    def apply(self, request: EditsRequest) -> Applied:
        """Start moving to new strengths, or to a preset. ApiError 422 for what is not on offer."""
        edits = self._shared.validate(request.edits)
        ramp_ms, easing = self.ramp_ms, Preset.easing
        if request.preset is not None:
            preset = self._shared.preset(request.preset)
            edits, ramp_ms, easing = {**preset.edits, **edits}, preset.fade_ms, preset.easing
        ramp_ms = ramp_ms if request.ramp_ms is None else request.ramp_ms
        easing = request.easing or easing
        rev = self.edits.set(edits, ramp_ms / 1000, easing, alone=request.preset is not None)
        return Applied(rev, ramp_ms, easing, self._shared.library.warnings(self.edits.targets))

    def add_candidates(self, candidates: Sequence[RTCIceCandidate]) -> None:
        """Take addresses that the client found after its offer; ApiError 422 where they are too many."""
        check_candidates(self._candidates, len(candidates))
        self._candidates += len(candidates)
        self._peer.add_candidates(candidates)

    def reanchor(self) -> None:
        """Take what all frames share afresh from the next ones."""
        self._stream.reanchor()

    def checkpoint(self) -> None:
        """Have `saved_state` brought up to date between two stages' turns; without a new picture nothing is to save."""
        processed = self._counters.stats.counts["processed"]
        if processed != self._saved_at:
            self._saved_at = processed
            self._lane.interject(self._save)

    def describe(self) -> dict[str, object]:
        """The session in brief."""
        return {
            "id": self.id,
            "state": self.state.value,
            "reason": self._life.reason,
            "message": self._life.message,
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "rev": self.edits.rev,
            "edits": self.edits.targets,
            "applied": self.applied.describe(),
            "networks": dict(self._shared.config.networks),
        }

    def describe_stats(self) -> dict[str, object]:
        """The session in numbers, as `GET …/stats` gives them and, less `id`, the control channel."""
        now = self._clock()
        delay = self._delay.at(now)
        audio_delay = None if delay is None else round(delay * 1000, 1)
        return {
            **self.describe(),
            **self._counters.stats.describe(now),
            "audio_delay_ms": audio_delay,
            "badge": self.badge.place,
            "pace": self._pacer.describe(),
            "recording": self.outputs.describe_recording(),
        }

    def end(self, reason: str) -> asyncio.Task[None]:
        """Begin to close, for a stated reason; the task ends when everything is freed. Safe to call again."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(reason))
        return self._closing

    def keep_limits(self) -> None:
        """End with nobody who uses it any more, or after long enough; whatever becomes of the numbers in `tick`."""
        if self._closing is None:
            self._end_if_due()

    async def tick(self) -> None:
        """Look once a second, before `keep_limits`, how it goes, and tell the client."""
        if self._control is not None:
            self._control.send("stats", **self.describe_stats())
        self._counters.stats.note_sent_bytes(self._clock(), await self._peer.count_video_bytes())
        self._counters.note_left_out("undecoded", self._peer.count_discarded())
        self._counters.note_left_out("layer", self._peer.count_left_out())
        oversized = self._peer.count_oversized()
        self._counters.note_left_out("unusable", oversized)
        self._liveness.note_oversized(oversized)
        self._liveness.note_packets(await self._peer.count_video_packets())
        self.outputs.tick()
        self._pacer.look(self._counters.stats.age(self._clock()))
        self._stream.cadence = self._pacer.pace.cadence
        if self._closing is None:
            self._look()

    def _look(self) -> None:
        if not self._liveness.connected:
            return
        self._life.look(self._liveness.health(self._counters.stats))
        # A client that is gone is noticed at its moment, not up to a round later.
        silent_in = self._liveness.silent_in(self._peer.find_last_heard())
        if silent_in < TICK_SECONDS:
            self._loop.call_later(silent_in + COARSE_SECONDS, self._end_if_due)

    def _end_if_due(self) -> None:
        ending = self._liveness.find_end_reason(self._peer.find_last_heard())
        if ending:
            self.end(ending)

    # ---- what happens at the peer

    def on_picture(self, frame: VideoFrame) -> None:
        """Offer a picture to the worker, in place of one it did not come to."""
        now = self._clock()
        self._liveness.note_picture(now)
        self.outputs.note_picture(frame, now)
        if self.state == State.PAUSED:
            self._peer.refresh()
        self._counters.stats.note_received(now)
        problem = "" if frame.time is None else self._freshness.judge(frame.time, now)
        if problem:
            self._counters.note_dropped(problem)
            return
        if not self._pacer.takes(now):
            self._counters.note_dropped("paced")
            return
        self._counters.note_taken(frame.width, frame.height)
        if self._lane.offer(SessionFrame(source=frame, arrived=now)):
            self._counters.note_dropped("stale")

    def on_sound(self, frame: AudioFrame) -> None:
        """Pass a sound on to those who watch, and to the recording."""
        self.outputs.hear(frame, self._clock())

    def on_picture_sent(self, age: float) -> None:
        """Note the age of a picture that goes to the encoder."""
        self._counters.note_sent(self._clock(), age)
        self._delay.observe(age)

    def video_delay(self, now: float) -> float | None:
        """Seconds a picture takes through the server, None while unknown."""
        return self._delay.at(now)

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
        self._control.send("state", **self.describe())

    # ---- pictures back from the worker

    def _hand_over(self, done: SessionFrame) -> None:
        # Called on the worker's thread; the loop is closed only when the server goes down.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver, done)

    def _save(self) -> None:
        """On the worker's thread, while no stage is at work."""
        try:
            state = self._stream.save()
        except Exception:  # the video must not stop because a copy of its state cannot be made
            logger.exception("The state of session %s could not be saved", self.id)
            return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._note_state, state)

    def _note_state(self, state: bytes) -> None:
        # A session that has ended has saved a later one.
        if self._closing is None:
            self.saved_state = state

    def _deliver(self, done: SessionFrame) -> None:
        if self._closing is not None:
            return
        self._counters.note_processed(done)
        if done.shown is None:
            self._counters.note_dropped("unusable")
            return
        self.outputs.show(done.shown, done.arrived, self.edits.targets)
        if not self._peer.returns_video:
            self.on_picture_sent(self._clock() - done.arrived)
        elif self._peer.send(done.shown, done.arrived):
            self._counters.note_dropped("unsent")
        if self.state in (State.CONNECTING, State.PAUSED):
            self._life.enter(State.LIVE)
        frame = self._counters.stats.counts["processed"]
        if self.applied.note(done.rev, frame) and self._control is not None:
            # Of edits that came another way too, so that the client knows what holds.
            self._control.send("applied", rev=done.rev, applied_frame=frame)

    def _tell_state(self) -> None:
        if self._control is not None and self.state != State.CLOSED:
            self._control.send("state", **self.describe())

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
            self._lane.close(self._release)
            with contextlib.suppress(TimeoutError):
                self.saved_state = await asyncio.wait_for(self._released, SAVE_SECONDS)
            await self.outputs.close()
        except Exception:  # whatever fails on the way out, the place must become free
            logger.exception("Session %s did not end as it should", self.id)
        finally:
            self._lane.close(self._release)
            self._on_closed(self, reason)

    def _release(self) -> None:
        """Save and close the stream; on the worker's thread, where no frame of it runs any more."""
        state: bytes | None = None
        try:
            state = self._stream.save()
        except Exception:  # whatever a stream is in, it must be closed
            logger.exception("The state of session %s could not be saved", self.id)
        self._stream.close()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._note_released, state)

    def _note_released(self, state: bytes | None) -> None:
        # Cancelled where the wait for it was given up.
        if not self._released.done():
            self._released.set_result(state)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
