"""What a server does to keep its budget, and when it has no room for another session."""

from __future__ import annotations

import pytest

from server.config import ServerConfig
from server.frames.pacing import FAR, PACES, Pacer
from server.session.admission import Capacity
from tests.server.http.test_api import assert_error
from tests.server.world import PaintingStream, Viewer, running


def test_less_is_done_step_by_step_what_is_seen_last() -> None:
    pacer = Pacer(0.25)
    seen = [pacer.pace]
    for _ in range(30):
        pacer.note_age(0.4)
        if pacer.pace != seen[-1]:
            seen.append(pacer.pace)
    assert tuple(seen) == PACES
    rates = [pace.max_fps or 99 for pace in seen]
    assert rates == sorted(rates, reverse=True)
    first_rare = next(number for number, pace in enumerate(seen) if pace.cadence > 1)
    assert rates[first_rare - 1] == min(rates)
    assert seen[0].inverted_after < seen[1].inverted_after and rates[1] == rates[0]


def test_a_single_late_look_changes_nothing_and_ease_brings_the_rate_back() -> None:
    pacer = Pacer(0.25)
    for age in (0.4, 0.1, 0.4, None, 0.1):
        pacer.note_age(age)
    assert pacer.pace == PACES[0]
    for age in (0.4, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2):
        pacer.note_age(age)
    assert pacer.pace == PACES[1], "well under the budget is needed"
    for _ in range(5):
        pacer.note_age(0.1)
    assert pacer.pace == PACES[0]


def test_pictures_are_left_out_evenly() -> None:
    pacer = Pacer(0.25)
    assert all(pacer.takes(number / 30) for number in range(30))
    for _ in range(8):
        pacer.note_age(0.4)
    assert pacer.pace.max_fps == 10
    taken = sum(pacer.takes(10 + number / 30) for number in range(300))
    assert taken == pytest.approx(100, abs=2)


def test_without_a_budget_all_is_done() -> None:
    pacer = Pacer(None)
    for _ in range(10):
        pacer.note_age(9.0)
    assert pacer.pace == PACES[0]


def test_capacity_is_what_was_edited_where_more_came() -> None:
    capacity = Capacity()
    for second in range(3):
        assert capacity.limit is None
        capacity.observe(float(second), 30 * second, 30 * second)
    assert capacity.limit is None, "there is room to spare"
    for second in range(3, 12):
        capacity.observe(float(second), 60 * second, 10 * second)
    assert capacity.limit == pytest.approx(10, rel=0.01)
    assert capacity.share(4) == pytest.approx(2.5, rel=0.01)


async def test_a_session_that_would_leave_each_too_little_is_turned_away() -> None:
    async with running(make_stream=lambda: PaintingStream(delay=0.2), min_fps=4.0) as world:
        await world.ready()
        async with world.viewer(fps=20) as viewer:
            # 5 pictures a second are edited of the 20 that come
            await viewer.until(lambda: len(viewer.said("stats")) >= 5)
            late = Viewer(world.http)
            refused = await late.connect()
            assert_error(refused, 503, "no_capacity")
            assert "pictures a second" in refused.json()["error"]["message"]
            assert refused.headers["Retry-After"] == "5"
            metrics = (await world.http.get("/metrics")).text
            assert 'rigid_live_sessions_refused_total{reason="capacity"} 1.0' in metrics
            assert 0 < float(metrics.split("\nrigid_live_capacity_fps ")[1].split()[0]) < 8
            await late.close()


async def test_a_budget_that_is_not_met_lowers_the_rate_and_then_the_networks_work() -> None:
    async with running(ServerConfig(latency_budget_ms=100.0), make_stream=lambda: PaintingStream(delay=0.15)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            await viewer.until(lambda: world.streams[0].cadence > 1)
            stats = viewer.said("stats")
            levels = [one["pace"]["level"] for one in stats]
            assert levels == sorted(levels) and levels[0] == 0
            assert world.streams[0].inverted_after == FAR
            assert 'reason="paced"' in (await world.http.get("/metrics")).text
