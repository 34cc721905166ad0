"""What comes back, in which order, how old, and with which edits."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from statistics import median

import numpy as np
import pytest

from tests.patience import ALL, until
from tests.server.memory import allocated_mb
from tests.server.world import Lag, PaintingStream, Seen, World, running

LOOKS, MOST_MB = (60, 3) if ALL else (10, 40)
"""How often memory is looked at, after three pictures each, and by how much it may grow in sixty looks: in the short
run a fifth of what it would be if every picture that comes were kept."""


def rises(values: list[int] | list[float]) -> bool:
    return all(later > earlier for earlier, later in pairwise(values))


async def test_pictures_come_back_edited_in_order_and_once() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer(edits={"smile": 0.5}) as viewer:
            seen = await viewer.see(30)
    assert rises([one.index for one in seen])
    assert rises([one.seconds for one in seen])
    assert all(abs(one.strength - 0.5) < 0.05 for one in seen)


async def test_pts_follow_the_camera() -> None:
    async with running(make_stream=lambda: PaintingStream(delay=0.05)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            seen = await viewer.see(10)
            steps = world.streams[0].times
    for earlier, later in pairwise(seen):
        assert later.seconds - earlier.seconds == pytest.approx(later.made - earlier.made, abs=0.005)
    assert rises(steps)


def assert_bounded(seen: list[Seen], lag: float) -> None:
    """No picture older than a second, nor older and older.

    `lag`: what the machine itself was late. A picture may wait for the one before it: both are late by it.
    """
    assert rises([one.index for one in seen])
    ages = [one.age for one in seen]
    half = len(ages) // 2
    assert max(ages) < 1.0 + 2 * lag, ages
    assert median(ages[half:]) < median(ages[:half]) + 0.2 + 2 * lag, ages


async def test_age_is_bounded_when_the_model_is_ten_times_slower_than_the_camera() -> None:
    async with running(make_stream=lambda: PaintingStream(delay=0.1)) as world:
        await world.ready()
        async with world.viewer(fps=100) as viewer:
            lag = Lag()
            seen = await viewer.see(20)
            stats = (await world.http.get(f"{viewer.url}/stats")).json()
    late = lag.stop()
    assert_bounded(seen, late)
    assert stats["fps_out"] < 11
    assert stats["fps_in"] > 2 * stats["fps_out"]
    # two are in hand, one waits
    assert stats["frames_dropped"] >= stats["frames_in"] - stats["frames_out"] - 3
    assert stats["age_ms"]["p95"] < 1000 * (1.0 + 2 * late)


async def overload() -> tuple[list[Seen], float, list[float]]:
    """What a viewer saw in a while of a model at a ninth of the camera's rate, the lag, and MB at each look."""
    memory: list[float] = []
    async with running(make_stream=lambda: PaintingStream(delay=0.1)) as world:
        await world.ready()
        async with world.viewer(fps=90) as viewer:
            lag = Lag()
            for _ in range(LOOKS):
                await viewer.see(3)
                memory.append(allocated_mb())
            return viewer.seen[1:], lag.stop(), memory


def spend_a_while_overloaded() -> tuple[list[Seen], float, list[float]]:
    return asyncio.run(overload())


@pytest.mark.slow
def test_neither_age_nor_memory_grows_under_overload() -> None:
    # In a process of its own: what other tests left behind is freed and moved at any time.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        seen, lag, memory = pool.submit(spend_a_while_overloaded).result()
    assert_bounded(seen, lag)
    # the first half fills pools; after it, that little more is noise
    later = np.array(memory[LOOKS // 2 :])
    slope = np.polyfit(np.arange(len(later)), later, 1)[0]
    print(f"at most {max(one.age for one in seen):.2f} s old, the machine {lag:.2f} s late; {slope * 60:.2f} MB more")
    assert slope * 60 < MOST_MB, memory


async def test_a_second_viewer_gets_its_share_and_its_own_pictures() -> None:
    async with running(make_stream=lambda: PaintingStream(delay=0.05)) as world:
        await world.ready()
        async with (
            world.viewer(edits={"smile": 1.0}) as first,
            world.viewer(edits={"smile": -1.0}) as second,
        ):
            before = (len(first.seen), len(second.seen))
            await until(lambda: len(first.seen) + len(second.seen) >= sum(before) + 40)
            shares = len(first.seen) - before[0], len(second.seen) - before[1]
        assert all(abs(one.strength - 1) < 0.05 for one in first.seen)
        assert all(abs(one.strength + 1) < 0.05 for one in second.seen)
        assert {1.0} == set(world.streams[0].strengths)
        assert {-1.0} == set(world.streams[1].strengths)
    assert min(shares) > 0.6 * max(shares), shares


async def test_all_frames_run_on_the_inference_threads() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer(), world.viewer():
            inference = {thread.ident for thread in threading.enumerate() if thread.name.startswith("inference")}
        used = {thread for stream in world.streams for thread in stream.threads}
        assert used and used <= inference
        assert threading.get_ident() not in used


async def failed(world: World) -> float:
    text = (await world.http.get("/metrics")).text
    return float(text.split("\nrigid_live_frames_failed_total ")[1].split()[0])


async def test_a_failing_frame_passes_through_unedited_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with running(make_stream=lambda: PaintingStream(failing=lambda number: number > 5)) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 1.0}) as viewer:
            await viewer.until(lambda: bool(viewer.seen) and viewer.seen[-1].strength < 0.5)
            seen = await viewer.see(20)
            before = await failed(world)
            stats = (await world.http.get(f"{viewer.url}/stats")).json()
            after = await failed(world)
    assert all(abs(one.strength) < 0.05 for one in seen)
    assert rises([one.index for one in seen])
    assert 20 <= before <= stats["frames_failed"] <= after
    assert sum("passes through" in one.message or "goes through" in one.message for one in caplog.records) == 1
