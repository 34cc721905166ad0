"""What ends a session by itself ends it whatever its client offered, and whatever cannot be measured of it."""

from __future__ import annotations

import logging
import time

import pytest

from server.config import ServerConfig
from server.webrtc.peer import MakePeer, PeerCounts
from tests.patience import until
from tests.server.http.test_api import assert_error
from tests.server.session.test_sessions import none_left
from tests.server.wire import WireConnection, WirePeer
from tests.server.world import MovableClock, Viewer, World, running

LIMITS = ("never_connected", "idle", "silent", "time_limit")


async def ended_by(world: World, reason: str) -> None:
    await none_left(world)
    assert f'rigid_live_sessions_closed_total{{reason="{reason}"}} 1.0' in (await world.http.get("/metrics")).text


async def run_into(limit: str, world: World, viewer: Viewer, clock: MovableClock) -> None:
    """Let a session that was answered come to where `limit` holds; the others do not."""
    if limit == "never_connected":
        clock.forward(25.0)
        return
    await viewer.accept()
    await viewer.see(1)
    if limit == "idle":
        viewer.camera.mute()
        manager = world.app.state.manager

        def ended() -> bool:
            # Packets on their way count as video once more.
            clock.forward(5.0)
            return bool(manager.admission.load.sessions == 0)

        await until(ended)
    elif limit == "silent":
        assert isinstance(viewer.peer, WireConnection)
        viewer.peer.silent_since = time.monotonic() - 60.0
    else:
        clock.forward(3700.0)


class Unmeasurable(WirePeer):
    """A peer of which no numbers can be had."""

    async def count(self) -> PeerCounts:
        raise RuntimeError("no numbers")


@pytest.mark.parametrize(
    ("limit", "make_peer"),
    [*((limit, WirePeer) for limit in LIMITS), *((limit, Unmeasurable) for limit in LIMITS)],
)
async def test_every_limit_holds_even_where_a_session_cannot_be_measured(
    limit: str, make_peer: MakePeer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = MovableClock()
    seconds = 3600.0 if limit == "time_limit" else None
    idle = 5000.0 if limit == "time_limit" else 60.0
    config = ServerConfig(max_session_seconds=seconds, idle_seconds=idle, dead_seconds=0.5)
    async with running(config, clock=clock, make_peer=make_peer) as world:
        await world.ready()
        viewer = Viewer(world.http)
        assert (await viewer.ask()).status_code == 201
        with caplog.at_level(logging.ERROR, "server"):
            await run_into(limit, world, viewer, clock)
            await ended_by(world, limit)
        await viewer.close()
    assert ("could not be looked after" in caplog.text) == (make_peer is Unmeasurable)


async def test_a_server_that_strangers_fill_has_room_again_by_itself() -> None:
    clock = MovableClock()
    async with running(ServerConfig(max_sessions=4), clock=clock) as world:
        await world.ready()
        strangers = [Viewer(world.http) for _ in range(5)]
        for stranger in strangers:
            stranger.peer.addTransceiver("video", direction="recvonly")
        answers = [await stranger.ask() for stranger in strangers]
        assert [one.status_code for one in answers[:4]] == [201] * 4
        assert_error(answers[4], 503, "server_full")
        clock.forward(25.0)
        await none_left(world)
        async with world.viewer():
            pass
        for stranger in strangers:
            await stranger.close()
