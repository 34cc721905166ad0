"""The edits of one session: set from the event loop, read by the inference thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from rigid.attributes.ramp import EditRamp


class SessionEdits:
    """An `EditRamp` with a revision that counts its changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ramp = EditRamp()
        self._rev = 0

    def set(self, edits: Mapping[str, float], ramp_seconds: float, now: float) -> int:
        """Start moving to valid strengths; returns the revision this makes."""
        with self._lock:
            self._ramp.set(edits, ramp_seconds, now)
            self._rev += 1
            return self._rev

    def at(self, now: float) -> tuple[dict[str, float], int]:
        """The strengths at `now` and the newest revision in them."""
        with self._lock:
            return self._ramp.at(now), self._rev

    @property
    def rev(self) -> int:
        """The newest revision."""
        return self._rev

    @property
    def targets(self) -> dict[str, float]:
        """What every attribute set so far is heading for."""
        with self._lock:
            return self._ramp.targets
