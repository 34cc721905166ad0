"""What is measured of a session."""

from __future__ import annotations

from typing import Any

import pytest
from av import VideoFrame

from server.frames.frame_editor import SessionFrame
from server.metrics import Metrics
from server.readiness import Readiness
from server.session.session_stats import Rate, SessionStats, percentile


def test_a_rate_counts_the_last_three_seconds() -> None:
    rate = Rate()
    assert rate.per_second(0.0) == 0
    for frame in range(300):
        rate.count(frame / 30)
    assert rate.per_second(10.0) == pytest.approx(30, rel=0.02)
    assert rate.per_second(12.0) == pytest.approx(10, rel=0.05)
    assert rate.per_second(20.0) == 0


def test_percentiles() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3], 0.95) == 3
    assert percentile(range(100), 0.5) == 50
    assert percentile(range(100), 0.95) == 95


def processed(**known: Any) -> SessionFrame:
    return SessionFrame(source=VideoFrame(16, 16), arrived=0.0, **known)


def test_a_session_without_a_picture_has_no_ages() -> None:
    told = SessionStats(Metrics(Readiness())).describe(5.0)
    assert told["age_ms"] == {"p50": None, "p95": None}
    assert told["stage_ms"] == {}
    assert told["fps_in"] == told["fps_out"] == 0


def test_stage_times_are_medians_and_drops_are_summed() -> None:
    stats = SessionStats(Metrics(Readiness()))
    for milliseconds in (1.0, 100.0, 3.0):
        stats.note_processed(
            processed(face=milliseconds < 50, reused=milliseconds < 2, stage_ms={"invert": milliseconds})
        )
    stats.counts.update(dropped_stale=2, dropped_unsent=1, dropped_unusable=1)
    told = stats.describe(0.0)
    assert told["stage_ms"] == {"invert": 3.0}
    assert (told["frames_without_face"], told["frames_dropped"], told["frame"]) == (1, 4, 3)
    assert told["frames_reused"] == 1


def test_the_share_of_failures_is_that_of_the_last_pictures() -> None:
    stats = SessionStats(Metrics(Readiness()))
    assert stats.failing == 0
    for number in range(40):
        stats.note_processed(processed(error="no room" if number >= 25 else None))
    assert stats.failing == 0.75
