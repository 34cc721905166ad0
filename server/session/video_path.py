"""A session's pictures on their way: which of them are edited, what is counted of them, and how old they get."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from av import VideoFrame

from rigid.files.badge import Badge
from server.frames.edit_timeline import SessionEdits
from server.frames.frame_editor import FrameEditor, SessionFrame
from server.frames.freshness import Freshness
from server.frames.pacing import Pacer
from server.frames.stream_protocol import Stream
from server.session.session_stats import SessionStats, VideoDelay
from server.session.shared_services import SharedServices
from server.webrtc.peer import PeerCounts


class VideoPath:
    """Takes a session's pictures to the inference worker and back; it is used on the event loop only.

    `deliver` is called with each picture that comes back from the worker.
    """

    def __init__(
        self,
        shared: SharedServices,
        stream: Stream,
        edits: SessionEdits,
        badge: Badge,
        deliver: Callable[[SessionFrame], None],
    ) -> None:
        self.stats = SessionStats(shared.metrics)
        self.delay = VideoDelay()
        """How long a picture takes through the server."""
        budget = shared.config.latency_budget_ms
        self._pacer = Pacer(None if budget is None else budget / 1000)
        self._freshness = Freshness(shared.config.late_seconds)
        self._stream = stream
        self._clock = shared.clock
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        editor = FrameEditor(stream, edits, self._hand_over, shared.clock, badge)
        self.lane = shared.worker.lane(*editor.stages)

    def take(self, frame: VideoFrame, now: float) -> None:
        """Offer a picture that came at `now` to the worker, in place of one it did not come to."""
        self.stats.note_received(now)
        problem = "" if frame.time is None else self._freshness.judge(frame.time, now)
        if not problem and not self._pacer.takes(now):
            problem = "paced"
        if problem:
            self.stats.note_dropped(problem)
            return
        self.stats.note_taken(frame.width, frame.height)
        if self.lane.offer(SessionFrame(source=frame, arrived=now)):
            self.stats.note_dropped("stale")

    def note_sent(self, age: float) -> None:
        """Note the age of a picture that goes to the encoder."""
        self.stats.note_sent(self._clock(), age)
        self.delay.observe(age)

    def look(self, counts: PeerCounts) -> None:
        """Note once a second what the peer counts, and do less for pictures that get too old."""
        stats = self.stats
        stats.note_sent_bytes(self._clock(), counts.bytes_sent)
        stats.note_left_out("undecoded", counts.undecoded)
        stats.note_left_out("layer", counts.of_other_layers)
        stats.note_left_out("unusable", counts.oversized)
        self._pacer.note_age(stats.age(self._clock()))
        pace = self._pacer.pace
        self._stream.cadence, self._stream.inverted_after = pace.cadence, pace.inverted_after

    def describe(self) -> dict[str, object]:
        """Describe the way in numbers, ready for JSON."""
        now = self._clock()
        delay = self.delay.at(now)
        return {
            **self.stats.describe(now),
            "audio_delay_ms": None if delay is None else round(delay * 1000, 1),
            "pace": self._pacer.describe(),
        }

    def _hand_over(self, done: SessionFrame) -> None:
        # Called on the worker's thread; the loop is closed only when the server goes down.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver, done)
