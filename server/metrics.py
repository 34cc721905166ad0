"""What Prometheus reads at /metrics; one registry an app, no label that grows with the sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from server.readiness import Readiness

SECOND_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16)
PREFIX = "rigid_live"

CountBatches = Callable[[], Mapping[int, int]]
"""How many rounds of the engine held how many sessions' calls, so far; called from any thread."""


def no_batches() -> Mapping[int, int]:
    """Return no counts, for an engine that makes no batches."""
    return {}


class BatchSizes(Collector):
    """A histogram of what the engine itself counts: read when asked for, so that no frame pays for it."""

    def __init__(self, count: CountBatches) -> None:
        self._count = count

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as it is now."""
        counts = dict(self._count())
        below = [(str(float(size)), _up_to(counts, size)) for size in BATCH_BUCKETS]
        family = HistogramMetricFamily(f"{PREFIX}_batch_sessions", "Sessions whose networks ran as one batch.")
        family.add_metric(
            [], [*below, ("+Inf", sum(counts.values()))], sum(size * rounds for size, rounds in counts.items())
        )
        yield family


def _up_to(counts: Mapping[int, int], size: int) -> int:
    return sum(rounds for held, rounds in counts.items() if held <= size)


class Metrics:
    """The numbers of one server, over all its sessions."""

    MEDIA_TYPE = CONTENT_TYPE_LATEST

    def __init__(self, readiness: Readiness, batches: CountBatches = no_batches) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(BatchSizes(batches))
        self.sessions = Gauge("sessions", "Open now, by state.", ["state"], PREFIX, registry=self._registry)
        self.opened = self._counter("sessions_opened", "Sessions opened.")
        self.resumed = self._counter("sessions_resumed", "Sessions that went on where a lost one was.")
        self.closed = self._counter("sessions_closed", "Sessions closed.", "reason")
        self.refused = self._counter("sessions_refused", "Sessions refused.", "reason")
        self.frames_in = self._counter("frames_in", "Pictures received.")
        self.frames_out = self._counter("frames_out", "Pictures sent.")
        self.dropped = self._counter("frames_dropped", "Pictures not sent.", "reason")
        text = "Pictures left out of recordings because writing them fell behind."
        self.unrecorded = self._counter("recording_frames_dropped", text)
        self.failed = self._counter("frames_failed", "Pictures not edited because of a failure.")
        self.without_face = self._counter("frames_without_face", "Pictures in which no face was found.")
        text = "Pictures of which something is told that their viewer can mend."
        self.advised = self._counter("frames_advised", text, "advice")
        self.age = self._histogram("frame_age_seconds", "From a picture's arrival to its sending.")
        self.stage = self._histogram("stage_seconds", "Time of a picture's stages.", "stage")
        self.faces = Gauge("faces", "In the newest pictures of all sessions.", [], PREFIX, registry=self._registry)
        self.watchers = Gauge("watchers", "Viewers over WHEP now.", [], PREFIX, registry=self._registry)
        text = "Pictures a second that can be edited, where more come; not a number where there is room to spare."
        self.limit = Gauge("capacity_fps", text, [], PREFIX, registry=self._registry)
        ready = Gauge("ready", "1 once sessions can be opened.", namespace=PREFIX, registry=self._registry)
        ready.set_function(lambda: float(readiness.state == "ready"))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, PREFIX, registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, PREFIX, registry=self._registry, buckets=SECOND_BUCKETS)

    def observe_stages(self, stage_ms: Mapping[str, float]) -> None:
        """Count one picture's stage times, milliseconds."""
        for stage, milliseconds in stage_ms.items():
            self.stage.labels(stage).observe(milliseconds / 1000)

    def families(self) -> list[Metric]:
        """Return all numbers, for whoever puts those of several servers together."""
        return list(self._registry.collect())

    def text(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        return generate_latest(self._registry)
