"""What is counted of one session: for itself, and among all of its server's."""

from __future__ import annotations

from collections import Counter

from server.frames.frame_editor import SessionFrame
from server.metrics import Metrics
from server.session.session_stats import SessionStats


class SessionCounters:
    """Keeps a session's numbers and the server's metrics in step; times are seconds of the server's clock."""

    def __init__(self, metrics: Metrics) -> None:
        self.stats = SessionStats()
        self._metrics = metrics
        self._gave_way: Counter[str] = Counter()

    @property
    def in_time(self) -> int:
        """Pictures that were received in time."""
        counts = self.stats.counts
        return counts["received"] - counts["dropped_late"] - counts["dropped_reordered"]

    def note_taken(self, width: int, height: int) -> None:
        """Count a picture of that size that goes to the worker."""
        self.stats.size = (width, height)
        self._metrics.frames_in.inc()

    def note_processed(self, done: SessionFrame) -> None:
        """Count a picture that came back from the worker."""
        self.stats.note_processed(face=done.face, stage_ms=done.stage_ms, failed=done.error is not None)
        self.stats.picture = done.camera
        self.stats.advice.add(done.advice)
        for code in done.advice:
            self._metrics.advised.labels(code).inc()
        self._metrics.observe_stages(done.stage_ms)
        if done.error is not None:
            self._metrics.failed.inc()
        elif not done.face:
            self._metrics.without_face.inc()

    def note_sent(self, now: float, age: float) -> None:
        """Count a picture that goes to the encoder `age` seconds after it came."""
        self.stats.note_sent(now, age)
        self._metrics.frames_out.inc()
        self._metrics.age.observe(age)

    def note_dropped(self, reason: str, count: int = 1) -> None:
        """Count pictures that are not sent, by reason."""
        self.stats.counts[f"dropped_{reason}"] += count
        self._metrics.dropped.labels(reason).inc(count)

    def note_left_out(self, reason: str, total: int) -> None:
        """Note how many in all, since the session began, were left out before they were decoded."""
        before, self._gave_way[reason] = self._gave_way[reason], total
        if total > before:
            self.note_dropped(reason, total - before)
