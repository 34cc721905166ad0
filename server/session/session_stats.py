"""What is measured of one session: counts, rates, ages and stage times over the last seconds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from statistics import median

from server.frames.advice import Advice
from server.frames.frame_editor import SessionFrame
from server.frames.seen_faces import FaceRegister
from server.metrics import Metrics

RATE_SECONDS = 3.0
KEPT = 256
FOLLOW = 0.25
OUTCOMES = 20


class Rate:
    """How often something happens, over the last three seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=KEPT)
        self._begin: float | None = None

    def count(self, now: float) -> None:
        self._begin = now if self._begin is None else self._begin
        self._times.append(now)

    def per_second(self, now: float) -> float:
        if self._begin is None:
            return 0.0
        recent = sum(1 for time in self._times if now - time <= RATE_SECONDS)
        return recent / max(1.0, min(RATE_SECONDS, now - self._begin))


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that `share` of the values do not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


class SessionStats:
    """Counts what becomes of one session's pictures, for itself and among all of its server's.

    Times are seconds of one monotonic clock.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.counts: Counter[str] = Counter()
        """received, processed, sent, failed, without_face, dropped_REASON"""
        self.face = False
        self.picture = ""
        """What is wrong with the newest picture that came, as `Health.picture` names it."""
        self.advice = Advice()
        self.faces = FaceRegister(metrics.faces.inc)
        self.size = (0, 0)
        self.bits_per_second = 0.0
        """Of the video sent, between the last two looks."""
        self._metrics = metrics
        self._left_out: Counter[str] = Counter()
        self._bytes = (0, 0.0)
        self._in, self._out = Rate(), Rate()
        self._ages: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._stages: dict[str, deque[float]] = {}
        self._outcomes: deque[bool] = deque(maxlen=OUTCOMES)

    def note_received(self, now: float) -> None:
        """Count a picture that came."""
        self.counts["received"] += 1
        self._in.count(now)

    def note_taken(self, width: int, height: int) -> None:
        """Count a picture of that size that goes to the worker."""
        self.size = (width, height)
        self._metrics.frames_in.inc()

    def note_processed(self, done: SessionFrame) -> None:
        """Count a picture that came back from the worker."""
        failed = done.error is not None
        self.counts["processed"] += 1
        self.counts["failed"] += failed
        self.counts["without_face"] += not done.face
        self.counts["reused"] += done.reused
        self._outcomes.append(failed)
        self.face, self.picture = done.face, done.camera
        self.advice.add(done.advice)
        self.faces.note(done.faces)
        for stage, milliseconds in done.stage_ms.items():
            self._stages.setdefault(stage, deque(maxlen=60)).append(milliseconds)
        self._metrics.observe_stages(done.stage_ms)
        for code in done.advice:
            self._metrics.advised.labels(code).inc()
        if failed:
            self._metrics.failed.inc()
        elif not done.face:
            self._metrics.without_face.inc()

    def note_sent(self, now: float, age: float) -> None:
        """Count a picture that goes to the encoder `age` seconds after it came."""
        self.counts["sent"] += 1
        self._out.count(now)
        self._ages.append((now, age))
        self._metrics.frames_out.inc()
        self._metrics.age.observe(age)

    def note_dropped(self, reason: str, count: int = 1) -> None:
        """Count pictures that are not sent, by reason."""
        self.counts[f"dropped_{reason}"] += count
        self._metrics.dropped.labels(reason).inc(count)

    def note_left_out(self, reason: str, total: int) -> None:
        """Note how many in all, since the session began, were left out before they were decoded."""
        before, self._left_out[reason] = self._left_out[reason], total
        if total > before:
            self.note_dropped(reason, total - before)

    def note_sent_bytes(self, now: float, total: int) -> None:
        """Note how many bytes of video were sent up to `now`."""
        before, earlier = self._bytes
        self.bits_per_second = 8 * (total - before) / max(now - earlier, 1e-3)
        self._bytes = (total, now)

    def end(self) -> None:
        """Take what is only there while the session lasts out of its server's numbers."""
        self.faces.end()

    @property
    def in_time(self) -> int:
        """Pictures that were received in time."""
        return self.counts["received"] - self.counts["dropped_late"] - self.counts["dropped_reordered"]

    @property
    def processed(self) -> int:
        """Pictures that came back from the worker."""
        return self.counts["processed"]

    @property
    def failing(self) -> float:
        """Share of the last pictures that failed."""
        return sum(self._outcomes) / len(self._outcomes) if self._outcomes else 0.0

    def fps(self, now: float) -> tuple[float, float]:
        """Pictures a second in and out."""
        return self._in.per_second(now), self._out.per_second(now)

    def age(self, now: float) -> float | None:
        """What 95 of 100 of the last seconds' pictures were younger than, seconds."""
        return percentile((age for time, age in self._ages if now - time <= RATE_SECONDS), 0.95)

    def describe(self, now: float) -> dict[str, object]:
        """Describe them, ready for JSON; ages and stage times in milliseconds, None where nothing was measured."""
        ages = [age * 1000 for time, age in self._ages if now - time <= RATE_SECONDS]
        counts = self.counts
        return {
            "frame": counts["processed"],
            "fps_in": round(self._in.per_second(now), 2),
            "fps_out": round(self._out.per_second(now), 2),
            "kbit_out": round(self.bits_per_second / 1000),
            "age_ms": {"p50": _round(percentile(ages, 0.5)), "p95": _round(percentile(ages, 0.95))},
            "stage_ms": {stage: _round(median(times)) for stage, times in self._stages.items()},
            "face": self.face,
            "advice": self.advice.now,
            "faces_seen": self.faces.describe(),
            "width": self.size[0],
            "height": self.size[1],
            "frames_in": counts["received"],
            "frames_out": counts["sent"],
            "frames_dropped": sum(count for name, count in counts.items() if name.startswith("dropped_")),
            "frames_failed": counts["failed"],
            "frames_without_face": counts["without_face"],
            "frames_reused": counts["reused"],
        }


def _round(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


class VideoDelay:
    """How long a picture takes through the server, for the sound to take as long.

    The median of the last ages, approached at a quarter of real time: a listener hears a jump.
    """

    def __init__(self) -> None:
        self._ages: deque[float] = deque(maxlen=15)
        self._value: float | None = None
        self._read_at = 0.0

    def observe(self, age: float) -> None:
        self._ages.append(age)

    def at(self, now: float) -> float | None:
        """Return the delay in seconds; None until the first picture was sent. `now` never goes back."""
        if not self._ages:
            return None
        goal = median(self._ages)
        if self._value is None:
            self._value = goal
        step = FOLLOW * (now - self._read_at)
        self._value += max(-step, min(step, goal - self._value))
        self._read_at = now
        return self._value
