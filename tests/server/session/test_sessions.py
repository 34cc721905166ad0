"""Sessions as a whole: room for them, their ends, and what is left of them."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
from functools import partial

import cv2
import httpx
import numpy as np
import psutil
import pytest

from server.config import ServerConfig
from server.errors import ApiError
from server.session import states
from server.session.resumable_sessions import SessionCheckpoint
from server.session.session_outputs import SessionOutputs
from server.webrtc.offers import take_offer
from server.webrtc.peer import Peer
from server.webrtc.silence import MOST_SECONDS
from tests.patience import PATIENCE_SECONDS, until
from tests.ports import free_udp_ports
from tests.server.http.test_api import assert_error
from tests.server.wire import WirePeer
from tests.server.world import MovableClock, PaintingStream, RealViewer, Viewer, World, read_barcode, running


async def sessions(world: World) -> list[dict[str, object]]:
    answer: list[dict[str, object]] = (await world.http.get("/api/v1/sessions")).json()
    return answer


async def has_none(world: World) -> bool:
    return not await sessions(world)


async def none_left(world: World) -> None:
    await until(partial(has_none, world))
    await until(lambda: all(stream.closed for stream in world.streams))


async def test_a_new_session_says_where_it_is() -> None:
    async with running() as world:
        await world.ready()
        viewer = Viewer(world.http)
        answer = await viewer.ask()
        assert answer.status_code == 201
        assert answer.headers["Location"] == viewer.url
        assert set(answer.json()) == {"id", "sdp", "type", "resume_token", "resumed"}
        assert answer.json()["resumed"] is False
        shown = (await world.http.get(viewer.url)).json()
        assert (shown["id"], shown["state"]) == (viewer.session["id"], "connecting")
        assert await sessions(world) == [shown]
        await viewer.accept()
        await viewer.see(1)
        # on a busy machine its pictures are few
        assert (await world.http.get(viewer.url)).json()["state"] in ("live", "degraded-input")
        await viewer.close()


async def test_a_full_server_says_so_and_takes_the_next_once_there_is_room() -> None:
    async with running(ServerConfig(max_sessions=1)) as world:
        await world.ready()
        async with world.viewer() as first:
            second = Viewer(world.http)
            refused = await second.connect()
            assert_error(refused, 503, "server_full")
            assert refused.headers["Retry-After"] == "5"
            await first.see(5)
            await second.close()
        await none_left(world)
        async with world.viewer():
            assert 'rigid_live_sessions_refused_total{reason="full"} 1.0' in (await world.http.get("/metrics")).text


async def test_ten_at_once_fill_the_places_exactly() -> None:
    async with running(ServerConfig(max_sessions=3)) as world:
        await world.ready()
        viewers = [Viewer(world.http) for _ in range(10)]
        answers = await asyncio.gather(*(viewer.connect() for viewer in viewers))
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [503] * 7
        await asyncio.gather(*(viewer.close() for viewer in viewers))


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/close")])
async def test_a_client_ends_its_session(method: str, path: str) -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            ended = await world.http.request(method, viewer.url + path)
            assert (ended.status_code, ended.content) == (204, b"")
            late = await world.http.patch(f"{viewer.url}/edits", json={"edits": {"smile": 1}})
            for again in (await world.http.request(method, viewer.url + path), late):
                assert_error(again, 410, "session_closed")
            await until(lambda: world.streams[0].closed == 1)
            await viewer.until(lambda: viewer.peer.connectionState == "closed")


async def test_a_viewer_that_closes_its_connection_is_noticed() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer():
            pass
        await none_left(world)


async def test_a_viewer_that_sends_no_more_video_is_noticed() -> None:
    clock = MovableClock()
    async with running(clock=clock) as world:
        await world.ready()
        async with world.viewer() as viewer:
            viewer.camera.mute()

            def ended() -> bool:
                # Packets on their way count as video once more.
                clock.forward(5.0)
                return bool(viewer.said("session_ended"))

            await viewer.until(ended)
            assert viewer.said("session_ended")[0]["reason"] == "idle"
            await none_left(world)
            assert 'rigid_live_sessions_closed_total{reason="idle"} 1.0' in (await world.http.get("/metrics")).text


async def test_a_muted_camera_pauses_the_session_and_it_goes_on_with_a_keyframe() -> None:
    clock = MovableClock()
    async with running(clock=clock) as world:
        await world.ready()
        async with world.viewer() as viewer:
            viewer.camera.mute()
            await viewer.until(lambda: len(viewer.said("stats")) > 1)
            clock.forward(states.PAUSE_SECONDS)
            await viewer.until(lambda: bool(viewer.said("state")) and viewer.said("state")[-1]["state"] == "paused")
            assert viewer.said("state")[-1]["reason"] == "no_video"
            assert viewer.said("state")[-1]["message"] == "No video comes from the client."
            assert viewer.server is not None and not viewer.server.refreshed
            viewer.camera.mute(muted=False)
            await viewer.see(3)
            await viewer.until(lambda: viewer.said("state")[-1]["state"] == "live")
            assert viewer.server.refreshed


async def test_no_session_lasts_longer_than_allowed() -> None:
    clock = MovableClock()
    async with running(ServerConfig(max_session_seconds=3600.0), clock=clock) as world:
        await world.ready()
        async with world.viewer() as viewer:
            clock.forward(3000.0)
            await viewer.until(lambda: len(viewer.said("stats")) >= 2)
            assert not viewer.said("session_ended")
            clock.forward(600.0)
            await viewer.until(lambda: bool(viewer.said("session_ended")))
            assert viewer.said("session_ended")[0]["reason"] == "time_limit"


@pytest.mark.slow
async def test_a_killed_client_is_noticed_within_ten_seconds() -> None:
    """As `kill -9` leaves it: no goodbye, and nothing that answers."""
    async with running(make_peer=Peer) as world:
        await world.ready()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.server.webrtc.lone_peer", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None and process.stdout is not None
        offer = json.loads(await process.stdout.readline())
        answer = (await world.http.post("/api/v1/sessions", json=offer)).json()
        process.stdin.write(json.dumps(answer).encode() + b"\n")
        assert await process.stdout.readline() == b"shown\n"
        process.kill()
        await process.wait()

        async def all_closed() -> bool:
            return all(one["state"] == "closed" for one in await sessions(world))

        # on a busy machine later than that by as much as it stands still
        assert ServerConfig().dead_seconds + MOST_SECONDS <= 10
        await until(all_closed)
        await none_left(world)
        assert 'rigid_live_sessions_closed_total{reason="silent"} 1.0' in (await world.http.get("/metrics")).text


async def test_a_server_that_drains_takes_nobody_and_lets_those_who_are_there_finish() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            draining = asyncio.create_task(world.app.state.manager.drain(30))
            await asyncio.sleep(0)
            late = Viewer(world.http)
            assert_error(await late.connect(), 503, "draining")
            await late.close()
            assert_error(await world.http.get("/readyz"), 503, "draining")
            await viewer.see(5)
            assert not draining.done()
            await world.http.delete(viewer.url)
            await asyncio.wait_for(draining, PATIENCE_SECONDS)


async def test_a_viewer_that_never_comes_is_noticed() -> None:
    async with running(ServerConfig(connect_seconds=0.1)) as world:
        await world.ready()
        viewer = Viewer(world.http)
        assert (await viewer.ask()).status_code == 201
        await none_left(world)
        await viewer.close()


async def test_coming_back_with_the_token_takes_the_old_place_and_its_edits() -> None:
    async with running(ServerConfig(max_sessions=1)) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 0.5, "age": 0.25}) as lost:
            token = lost.session["resume_token"]
            async with world.viewer(resume_token=token, edits={"age": 1.0}) as back:
                shown = await sessions(world)
        assert [one["id"] for one in shown] == [back.session["id"]]
        assert shown[0]["edits"] == {"smile": 0.5, "age": 1.0}
        await none_left(world)
        async with world.viewer(resume_token="of another time"):
            pass


async def test_the_server_ends_its_sessions_when_it_goes() -> None:
    async with running() as world:
        await world.ready()
        viewer = Viewer(world.http)
        await viewer.connect()
        await viewer.see(1)
    await viewer.until(lambda: bool(viewer.said("session_ended")))
    assert viewer.said("session_ended") == [
        {
            "type": "session_ended",
            "reason": "server_shutdown",
            "message": "The server was shut down.",
            "come_back": True,
        }
    ]
    assert world.streams[0].closed == 1
    assert not any(thread.name.startswith("inference") for thread in threading.enumerate())
    await viewer.close()


def no_more_than(before: tuple[int, int, int], now: tuple[int, int, int]) -> bool:
    """Less may be in use: `before`, something may still have been on its way out."""
    return all(is_now <= was for was, is_now in zip(before, now, strict=True))


@pytest.mark.slow
async def test_nothing_is_left_of_visits() -> None:
    def left() -> tuple[int, int, int]:
        gc.collect()
        decoders = sum("decoder" in thread.name for thread in threading.enumerate())
        return len(asyncio.all_tasks()), decoders, psutil.Process().num_fds()

    async with running(make_peer=Peer) as world:
        await world.ready()
        async with world.real_viewer():
            pass
        await none_left(world)
        await until(lambda: left()[1] == 0)
        before = left()
        for _ in range(5):
            async with world.real_viewer():
                pass
        await none_left(world)
        await until(lambda: no_more_than(before, left()))


async def test_a_bad_request_does_not_disturb_a_running_stream() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer(edits={"smile": 0.5}) as viewer:
            for body in (b"{", b'{"sdp": "v=0", "type": "offer"}', b"x" * 400_000):
                await world.http.post("/api/v1/sessions", content=body, headers={"Content-Type": "application/json"})
                await world.http.patch(f"{viewer.url}/edits", content=body)
            seen = await viewer.see(20)
            stats = (await world.http.get(f"{viewer.url}/stats")).json()
    assert all(abs(one.strength - 0.5) < 0.05 for one in seen)
    assert stats["frames_failed"] == 0


async def test_a_snapshot_is_the_newest_picture() -> None:
    async with running() as world:
        await world.ready()
        viewer = Viewer(world.http)
        await viewer.ask()
        early = await world.http.get(f"{viewer.url}/snapshot.jpg")
        assert early.status_code == 404
        assert early.json()["error"]["code"] == "no_picture_yet"
        await viewer.accept()
        seen = await viewer.see(5)
        answer = await world.http.get(f"{viewer.url}/snapshot.jpg")
        assert answer.headers["Content-Type"] == "image/jpeg"
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (240, 320, 3)
        assert read_barcode(picture.astype(np.uint8))[0] >= seen[-1].index
        await viewer.close()


async def test_metrics_tell_what_happened() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            await viewer.see(30)
            await viewer.until(lambda: len(viewer.said("stats")) >= 2)
            text = (await world.http.get("/metrics")).text
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}
    assert sum(value for name, value in values.items() if name.startswith("rigid_live_sessions{")) == 1
    assert values["rigid_live_sessions_opened_total"] == 1
    assert values["rigid_live_frames_in_total"] >= values["rigid_live_frames_out_total"] >= 30
    assert values["rigid_live_frame_age_seconds_count"] == values["rigid_live_frames_out_total"]
    assert values['rigid_live_stage_seconds_count{stage="invert"}'] >= 30


async def test_two_servers_in_one_process_count_apart() -> None:
    async with running() as one, running() as other:
        await one.ready()
        async with one.viewer():
            assert "rigid_live_sessions_opened_total 0.0" in (await other.http.get("/metrics")).text


def ports_of(answer: httpx.Response) -> set[int]:
    lines = answer.json()["sdp"].splitlines()
    return {int(line.split()[5]) for line in lines if line.startswith("a=candidate")}


async def test_media_uses_the_ports_allowed_and_their_lack_is_told() -> None:
    # One socket an address of this machine and session: the same port serves several addresses.
    free = free_udp_ports(1)
    async with running(ServerConfig(udp_ports=free), make_peer=Peer) as world:
        await world.ready()
        first, second = RealViewer(world.http), RealViewer(world.http)
        answer = await first.connect()
        assert ports_of(answer) == {free[0]}
        await first.see(3)
        refused = await second.connect()
        assert_error(refused, 503, "no_port")
        await first.close()
        await second.close()
        await none_left(world)


def test_an_offer_of_another_type_is_refused() -> None:
    with pytest.raises(ApiError, match="pranswer"):
        take_offer("v=0", "pranswer")


async def test_sessions_that_open_at_once_take_one_place_each() -> None:
    at_once = threading.Barrier(4)

    def make_at_once() -> PaintingStream:
        at_once.wait(PATIENCE_SECONDS)
        return PaintingStream()

    async with running(ServerConfig(max_sessions=4), make_at_once) as world:
        await world.ready()
        viewers = [Viewer(world.http) for _ in range(5)]
        statuses = [(await one).status_code for one in asyncio.as_completed([one.connect() for one in viewers])]
        assert sorted(statuses) == [201] * 4 + [503]
        assert world.app.state.manager.admission.load.sessions == 4
        await asyncio.gather(*(one.close() for one in viewers))


async def test_a_place_is_free_again_whatever_fails_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(WirePeer):
        async def close(self) -> None:
            await super().close()
            raise ConnectionError("the socket is gone")

    async with running(ServerConfig(max_sessions=1), make_peer=Broken) as world:
        await world.ready()
        async with world.viewer() as viewer:
            assert (await world.http.delete(viewer.url)).status_code == 204
            assert "did not close" in caplog.text
            await none_left(world)
        async with world.viewer():
            pass


@pytest.mark.parametrize("part", ["end_recording", "end_watchers", "close"])
async def test_a_place_is_free_again_whatever_part_of_its_audience_fails(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: SessionOutputs) -> None:
        raise RuntimeError("a fault of ours")

    async with running(ServerConfig(max_sessions=1)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            with monkeypatch.context() as patched:
                patched.setattr(SessionOutputs, part, broken)
                await world.http.delete(viewer.url)
            assert "did not end as it should" in caplog.text
            await none_left(world)
        async with world.viewer():
            pass


async def test_edits_that_are_no_longer_on_offer_are_not_gone_on_with() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as lost:
            token = lost.session["resume_token"]
        await none_left(world)
        # as from another server, or from before an attribute was taken away
        world.app.state.manager.resumable.put(token, SessionCheckpoint({"smile": 0.5, "wings": 1.0, "age": 99.0}, None))
        async with world.viewer(resume_token=token):
            assert (await sessions(world))[0]["edits"] == {"smile": 0.5}
