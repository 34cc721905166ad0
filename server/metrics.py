"""What Prometheus reads at /metrics; one registry an app, no label that grows with the sessions."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from server.readiness import Readiness

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)
PREFIX = "rigid_live"


class Metrics:
    """The numbers of one server, over all its sessions."""

    MEDIA_TYPE = CONTENT_TYPE_LATEST

    def __init__(self, readiness: Readiness) -> None:
        self._registry = CollectorRegistry()
        self.sessions = Gauge("sessions", "Open now, by state.", ["state"], PREFIX, registry=self._registry)
        self.opened = self._counter("sessions_opened", "Sessions opened.")
        self.resumed = self._counter("sessions_resumed", "Sessions that went on where a lost one was.")
        self.closed = self._counter("sessions_closed", "Sessions closed.", "reason")
        self.refused = self._counter("sessions_refused", "Sessions refused.", "reason")
        self.frames_in = self._counter("frames_in", "Pictures received.")
        self.frames_out = self._counter("frames_out", "Pictures sent.")
        self.dropped = self._counter("frames_dropped", "Pictures not sent.", "reason")
        self.failed = self._counter("frames_failed", "Pictures not edited because of a failure.")
        self.without_face = self._counter("frames_without_face", "Pictures in which no face was found.")
        self.age = self._histogram("frame_age_seconds", "From a picture's arrival to its sending.")
        self.stage = self._histogram("stage_seconds", "Time of a picture's stages.", "stage")
        self.watchers = Gauge("watchers", "Viewers over WHEP now.", [], PREFIX, registry=self._registry)
        text = "Pictures a second that can be edited, where more come; not a number where there is room to spare."
        self.limit = Gauge("capacity_fps", text, [], PREFIX, registry=self._registry)
        ready = Gauge("ready", "1 once sessions can be opened.", namespace=PREFIX, registry=self._registry)
        ready.set_function(lambda: float(readiness.state == "ready"))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, PREFIX, registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, PREFIX, registry=self._registry, buckets=SECONDS)

    def observe_stages(self, stage_ms: Mapping[str, float]) -> None:
        """Count one picture's stage times, milliseconds."""
        for stage, milliseconds in stage_ms.items():
            self.stage.labels(stage).observe(milliseconds / 1000)

    def text(self) -> bytes:
        """All numbers in Prometheus' text format."""
        return generate_latest(self._registry)
