"""What is counted of one session: for itself, and among all of its server's."""

from __future__ import annotations

from collections import Counter

from server.frames.frame_editor import SessionFrame
from server.metrics import Metrics
from server.session.session_stats import SessionStats


class Tally:
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

    def taken(self, width: int, height: int) -> None:
        """A picture of that size goes to the worker."""
        self.stats.size = (width, height)
        self._metrics.frames_in.inc()

    def processed(self, done: SessionFrame) -> None:
        """One came back from the worker."""
        self.stats.processed(face=done.face, stage_ms=done.stage_ms, failed=done.error is not None)
        self.stats.picture = done.camera
        self.stats.advice.add(done.advice)
        for code in done.advice:
            self._metrics.advised.labels(code).inc()
        self._metrics.observe_stages(done.stage_ms)
        if done.error is not None:
            self._metrics.failed.inc()
        elif not done.face:
            self._metrics.without_face.inc()

    def sent(self, now: float, age: float) -> None:
        """One goes to the encoder, that long after it came."""
        self.stats.sent(now, age)
        self._metrics.frames_out.inc()
        self._metrics.age.observe(age)

    def dropped(self, reason: str, count: int = 1) -> None:
        """So many are not sent."""
        self.stats.counts[f"dropped_{reason}"] += count
        self._metrics.dropped.labels(reason).inc(count)

    def gave_way(self, reason: str, total: int) -> None:
        """So many in all, since the session began, were left out before they were decoded."""
        before, self._gave_way[reason] = self._gave_way[reason], total
        if total > before:
            self.dropped(reason, total - before)
