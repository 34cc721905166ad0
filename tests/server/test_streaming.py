"""Two peers in one process: what comes back, in which order, how old, and with which edits."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.world import PaintingStream, Seen, running


def rises(values: list[int]) -> bool:
    return all(later > earlier for earlier, later in zip(values, values[1:], strict=False))


async def test_pictures_come_back_edited_in_order_and_once() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer(edits={"smile": 0.5}) as viewer:
            seen = await viewer.see(60)
    assert rises([one.index for one in seen])
    assert rises([one.pts for one in seen])
    assert all(abs(one.strength - 0.5) < 0.05 for one in seen)
    assert seen[-1].index - seen[0].index < 90


async def test_pts_follow_the_camera() -> None:
    async with running(make_stream=lambda: PaintingStream(delay=0.2)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            seen = await viewer.see(10)
            steps = world.streams[0].times
    # a picture made n / 30 s later is shown as much later, however few of them there are
    for earlier, later in zip(seen, seen[1:], strict=False):
        made = (later.index - earlier.index) / 30
        assert (later.pts - earlier.pts) / 90000 == pytest.approx(made, abs=0.15)
    assert rises([round(time * 1000) for time in steps])


def assert_bounded(seen: list[Seen]) -> None:
    assert rises([one.index for one in seen])
    ages = [one.age for one in seen]
    half = len(ages) // 2
    assert max(ages) < 1.0, ages
    assert sum(ages[half:]) / len(ages[half:]) < sum(ages[:half]) / half + 0.2, ages


async def test_age_is_bounded_when_the_model_is_ten_times_slower_than_the_camera() -> None:
    async with running(make_stream=lambda: PaintingStream(delay=1 / 3)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            await asyncio.sleep(8)
            seen = viewer.seen[1:]
            stats = (await world.http.get(f"{viewer.url}/stats")).json()
    assert_bounded(seen)
    assert 2 < stats["fps_out"] < 4
    assert stats["fps_in"] > 20
    assert stats["frames_dropped"] > 0.7 * stats["frames_in"]
    assert stats["age_ms"]["p95"] < 1000
