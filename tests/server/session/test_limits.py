"""What ends a session by itself ends it whatever its client offered, and whatever cannot be measured of it."""

from __future__ import annotations

import logging
import time

import pytest

from server.config import ServerConfig
from server.session.session import Session
from server.webrtc import peer as peer_module
from tests.server.http.test_api import assert_error
from tests.server.session.test_sessions import mute, none_left
from tests.server.world import MovableClock, Viewer, World, running, until

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
LIMITS = ("never_connected", "idle", "silent", "time_limit")


async def ended_by(world: World, reason: str) -> None:
    await none_left(world)
    assert f'rigid_live_sessions_closed_total{{reason="{reason}"}} 1.0' in (await world.http.get("/metrics")).text


async def run_into(limit: str, world: World, viewer: Viewer, clock: MovableClock, patch: pytest.MonkeyPatch) -> None:
    """Let a session that was answered come to where `limit` holds; the others do not."""
    if limit == "never_connected":
        clock.forward(25.0)
        return
    await viewer.accept()
    await viewer.see(1)
    if limit == "idle":
        mute(viewer)
        manager = world.app.state.manager

        def ended() -> bool:
            # Packets on their way count as video once more.
            clock.forward(5.0)
            return bool(manager.admission.load.sessions == 0)

        await until(ended)
    elif limit == "silent":
        long_ago = time.monotonic() - 60.0
        patch.setattr(peer_module, "find_last_heard", lambda connection: long_ago)
    else:
        clock.forward(3700.0)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", ["video", "audio"])
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_every_limit_holds_whatever_lines_an_offer_has(
    direction: str, kind: str, limit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = MovableClock()
    seconds = 3600.0 if limit == "time_limit" else None
    idle = 5000.0 if limit == "time_limit" else 60.0
    async with running(ServerConfig(max_session_seconds=seconds, idle_seconds=idle), clock=clock) as world:
        await world.ready()
        viewer = Viewer(world.http)
        viewer.peer.addTransceiver(kind, direction=direction)
        answer = await viewer.ask()
        assert answer.status_code == 201, answer.text
        with caplog.at_level(logging.ERROR, "server"):
            await run_into(limit, world, viewer, clock, monkeypatch)
            await ended_by(world, limit)
        await viewer.close()
    assert "could not be looked after" not in caplog.text


@pytest.mark.parametrize("limit", ["never_connected", "idle", "time_limit"])
async def test_every_limit_holds_where_a_session_cannot_be_measured(
    limit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(self: Session) -> None:
        raise RuntimeError("no numbers")

    monkeypatch.setattr(Session, "tick", broken)
    clock = MovableClock()
    seconds = 3600.0 if limit == "time_limit" else None
    idle = 5000.0 if limit == "time_limit" else 60.0
    async with running(ServerConfig(max_session_seconds=seconds, idle_seconds=idle), clock=clock) as world:
        await world.ready()
        viewer = Viewer(world.http)
        assert (await viewer.ask()).status_code == 201
        await run_into(limit, world, viewer, clock, monkeypatch)
        await ended_by(world, limit)
        await viewer.close()


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
