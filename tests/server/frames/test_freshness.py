"""Newest by age: pictures out of order, and those that pile up on a network that stood still."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from av import VideoFrame

from server.frames.freshness import WINDOW_SECONDS, Freshness
from server.session.session import Session
from tests.patience import until
from tests.server.frames.test_frame_editor import picture
from tests.server.world import PaintingStream, World, running

MOST = 1.0
REORDERED = 'rigid_live_frames_dropped_total{reason="reordered"} '


def judged(pictures: Iterable[tuple[float, float]]) -> list[str]:
    """What becomes of pictures, each with its camera's time and the time it came at."""
    freshness = Freshness(MOST)
    return [freshness.judge(seconds, now) for seconds, now in pictures]


def test_pictures_in_time_are_taken_whatever_their_jitter() -> None:
    jitter = (0.0, 0.05, -0.02, 0.03, 0.0, 0.09)
    assert judged((i / 15, 100 + i / 15 + jitter[i % 6]) for i in range(200)) == [""] * 200


def test_a_picture_out_of_order_or_twice_is_left_out_and_the_next_one_is_taken() -> None:
    assert judged([(1.0, 5.0), (3.0, 5.2), (2.0, 5.25), (3.0, 5.3), (4.0, 5.4)]) == [
        "",
        "",
        "reordered",
        "reordered",
        "",
    ]


def test_after_a_gap_the_first_is_taken_and_what_piled_up_behind_it_is_not() -> None:
    fine = [(i / 10, 50 + i / 10) for i in range(20)]
    # Nothing comes for three seconds, then all of it at once.
    piled = [(2 + i / 10, 55 + i / 1000) for i in range(30)]
    after = [(5 + i / 10, 55.03 + i / 10) for i in range(5)]
    results = judged([*fine, *piled, *after])
    assert results[:21] == [""] * 21
    late = results[21:50]
    # The last second of them is in time again.
    assert late[:19] == ["late"] * 19 and late[20:] == [""] * 9
    assert results[50:] == [""] * 5


def test_a_camera_whose_clock_runs_slow_is_never_cut_off() -> None:
    # As a client sends that waits for each picture to come back: a frame's time each, however long that takes.
    assert judged((i / 30, 10 + i / 3) for i in range(300)) == [""] * 300


def test_a_way_that_grew_longer_for_good_is_the_measure_after_a_while() -> None:
    freshness = Freshness(MOST)
    assert [freshness.judge(i / 10, i / 10) for i in range(50)] == [""] * 50
    shift = 1.5
    begin = 50 + 10 * (WINDOW_SECONDS + 2)
    for i in range(50, begin):
        freshness.judge(i / 10, i / 10 + shift)
    hurried = [freshness.judge(i / 10, i / 10 + shift - 0.06 * (i % 2)) for i in range(begin, begin + 20)]
    assert hurried == [""] * 20


async def test_a_session_counts_what_it_leaves_out_by_reason() -> None:
    async with running(make_stream=lambda: PaintingStream(delay=0.05)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            (session,) = world.app.state.manager.sessions
            assert isinstance(session, Session)
            edited = set(world.streams[0].times)
            session.on_picture(of(9_000_000))
            session.on_picture(of(8_999_000))
            session.on_picture(of(9_000_000))
            await viewer.until(lambda: 100.0 in world.streams[0].times)
            # The camera's own pictures, of the first seconds, are now all older than that one.
            await until(partial(are_three_reordered, world))
            count = await count_reordered(world)
            stats = (await world.http.get(f"{viewer.url}/stats")).json()
    assert max(world.streams[0].times) == 100.0 and 99.0 not in set(world.streams[0].times) - edited
    assert stats["frames_dropped"] >= count


async def count_reordered(world: World) -> float:
    lines = (await world.http.get("/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(REORDERED))


async def are_three_reordered(world: World) -> bool:
    return await count_reordered(world) >= 3


def of(pts: int) -> VideoFrame:
    return picture(pts, side=256)
