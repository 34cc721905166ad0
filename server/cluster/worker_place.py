"""One worker of a cluster as it was last heard of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from server.cluster.messages import Report
from server.cluster.names import go_together


@dataclass(frozen=True)
class PendingSession:
    """A session on its way to a worker."""

    at: float
    owner: str
    """The name of the API key it is opened with."""


@dataclass
class WorkerPlace:
    """One worker as last heard of."""

    report: Report | None = None
    """None until it has said anything."""
    lost: bool = False
    """It did not answer when last asked."""
    draining: bool = False
    """It is to end."""
    fault: str = ""
    """Why it will never say anything."""
    placed: dict[int, PendingSession] = field(default_factory=dict)
    """Sessions that were sent to it and that the report does not count yet, by the placement's number."""

    def usable(self, version: str) -> bool:
        """Whether sessions may go there."""
        report = self.report
        if report is None or self.lost or self.draining or report.draining or not report.ready:
            return False
        return go_together(report.version, version)

    @property
    def free(self) -> int:
        """Sessions it has room for: places, or fewer where it measures that it cannot edit for so many."""
        report = self.report
        if report is None:
            return 0
        places = float(report.places)
        if report.limit_fps is not None and report.min_fps > 0:
            places = min(places, report.limit_fps / report.min_fps)
        return max(0, math.floor(places) - self.taken)

    @property
    def taken(self) -> int:
        """Sessions it carries, and those on their way to it."""
        return self.sessions + len(self.placed)

    @property
    def sessions(self) -> int:
        """Sessions it carries, as far as it has said."""
        return self.report.sessions if self.report else 0

    @property
    def node(self) -> str:
        """Ray's id of its node; empty until it has said anything."""
        return self.report.node if self.report else ""
