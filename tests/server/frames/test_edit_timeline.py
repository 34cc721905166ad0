"""Edits of a running stream, over REST and over the data channel."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest

from server.config import ServerConfig
from server.frames.edit_timeline import MAX_WAITING, AppliedEdits
from server.session.control_channel import BURST
from server.session.states import farewell
from tests.server.world import Viewer, running


async def test_patch_takes_effect_mid_stream_without_reconnecting_and_ramps_monotonically() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            answer = await world.http.patch(f"{viewer.url}/edits", json={"edits": {"smile": 1.0}, "ramp_ms": 1000})
            assert answer.status_code == 200
            assert answer.json() == {
                "rev": 1,
                "edits": {"smile": 1.0},
                "faces": {},
                "ramp_ms": 1000,
                "easing": "smooth",
                "warnings": [],
                "applied_frame": None,
            }
            await viewer.until(lambda: viewer.seen[-1].strength > 0.97)
            assert viewer.peer.connectionState == "connected"
            assert (await world.http.get(viewer.url)).json()["edits"] == {"smile": 1.0}
        stream = world.streams[0]
    steps = list(pairwise(zip(stream.times, stream.strengths, strict=True)))
    assert all(later >= earlier for (_, earlier), (_, later) in steps)
    assert any(0 < strength < 1 for strength in stream.strengths)
    # smoothstep climbs at most 1.5 times as fast as a straight line of 1 s, by the frames' own times
    assert all(later - earlier < 1.5 * (then - before) + 1e-6 for (before, earlier), (then, later) in steps)


async def test_edits_ramp_over_400_ms_where_nothing_is_said() -> None:
    assert ServerConfig().ramp_ms == 400
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            answer = await world.http.patch(f"{viewer.url}/edits", json={"edits": {"smile": 1.0}})
            assert answer.json()["ramp_ms"] == 400
            await viewer.until(lambda: world.streams[0].strengths[-1] == 1.0)
        assert any(0 < one < 1 for one in world.streams[0].strengths)


async def test_a_session_may_state_its_own_ramp() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer(options={"ramp_ms": 0}) as viewer:
            await world.http.patch(f"{viewer.url}/edits", json={"edits": {"smile": 1.0}})
            await viewer.until(lambda: world.streams[0].strengths[-1] == 1.0)
        assert set(world.streams[0].strengths) == {0.0, 1.0}


async def test_edits_are_merged_and_the_revision_counts_them() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer(edits={"age": 0.5}) as viewer:
            first = (await world.http.patch(f"{viewer.url}/edits", json={"edits": {"smile": 1}})).json()
            second = (await world.http.patch(f"{viewer.url}/edits", json={"edits": {"age": 0}})).json()
    assert first["edits"] == {"age": 0.5, "smile": 1.0}
    assert second["edits"] == {"age": 0.0, "smile": 1.0}
    assert second["rev"] == first["rev"] + 1


async def test_the_acknowledgement_names_the_frame_that_first_used_the_edits() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            ack = await viewer.set("7", {"smile": 1.0}, ramp_ms=0)
            strengths = list(world.streams[0].strengths)
    assert ack["ok"] is True
    assert ack["rev"] == 1
    assert strengths.index(1.0) + 1 == ack["applied_frame"]


async def test_over_http_the_first_frame_is_told_on_request_and_to_all_who_watch() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            body = {"edits": {"smile": 1.5}, "ramp_ms": 0, "wait": True}
            answer = (await world.http.patch(f"{viewer.url}/edits", json=body)).json()
            assert (await world.http.get(viewer.url)).json()["applied"] == {"rev": 1, "frame": answer["applied_frame"]}
            await viewer.until(lambda: bool(viewer.said("applied")))
            strengths = list(world.streams[0].strengths)
    assert strengths.index(1.5) + 1 == answer["applied_frame"]
    assert viewer.said("applied") == [{"type": "applied", "rev": 1, "applied_frame": answer["applied_frame"]}]
    assert answer["warnings"] == ["smile at 1.5 is beyond -1 to 1, where it looks natural."]


async def test_a_preset_is_faded_to_and_what_it_lacks_goes() -> None:
    async with running() as world:
        await world.ready()
        assert [one["name"] for one in (await world.http.get("/api/v1/presets")).json()] == [
            "happy",
            "older",
            "younger",
        ]
        async with world.viewer(edits={"smile": 1.0}) as viewer:
            body = {"preset": "older", "ramp_ms": 200, "easing": "linear"}
            answer = (await world.http.patch(f"{viewer.url}/edits", json=body)).json()
            assert (answer["edits"], answer["ramp_ms"], answer["easing"]) == ({"smile": 0.0, "age": 1.0}, 200, "linear")
            await viewer.until(lambda: world.streams[0].strengths[-1] == 0.0)
            strengths = world.streams[0].strengths
            assert all(later <= earlier for earlier, later in pairwise(strengths))
            unknown = await world.http.patch(f"{viewer.url}/edits", json={"preset": "grim"})
            assert (unknown.status_code, unknown.json()["error"]["code"]) == (422, "unknown_preset")
            nothing = await world.http.patch(f"{viewer.url}/edits", json={"ramp_ms": 5})
            assert (nothing.status_code, nothing.json()["error"]["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({"grin": 1}, "There is no attribute 'grin'"),
        ({"smile": 7}, "out of range"),
        ({"smile": float("nan")}, "not a finite number"),
        ({"smile": "much"}, "not a number"),
    ],
)
async def test_bad_edits_leave_the_stream_and_its_edits_alone(edits: dict[str, object], said: str) -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer(edits={"smile": 0.5}) as viewer:
            body = json.dumps({"edits": edits}).encode()
            answer = await world.http.patch(
                f"{viewer.url}/edits", content=body, headers={"Content-Type": "application/json"}
            )
            ack = await viewer.set("bad", edits)
            seen = await viewer.see(10)
            session = (await world.http.get(viewer.url)).json()
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]
    assert ack["ok"] is False
    assert said in ack["error"]["message"]
    assert all(abs(one.strength - 0.5) < 0.05 for one in seen)
    assert (session["rev"], session["edits"]) == (1, {"smile": 0.5})


async def test_a_viewer_can_have_the_stream_anchored_anew() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            assert (await world.http.post(f"{viewer.url}/reanchor")).status_code == 204
            assert world.streams[0].reanchored == 1
            await viewer.until(lambda: viewer.channel.readyState == "open")
            viewer.channel.send(json.dumps({"type": "reanchor", "id": "r1"}))
            await viewer.until(lambda: bool(viewer.said("ack")))
            assert viewer.said("ack") == [{"type": "ack", "id": "r1", "ok": True}]
            assert world.streams[0].reanchored == 2


async def test_of_too_many_that_wait_for_a_frame_the_oldest_waits_no_longer() -> None:
    applied = AppliedEdits()
    waiting = [applied.expect(rev) for rev in range(1, MAX_WAITING + 2)]
    assert (waiting[0].result(), waiting[1].done()) == (None, False)
    assert applied.note(3, frame=10) and not applied.note(3, frame=11)
    assert [one.result() for one in waiting[:3]] == [None, 10, 10] and not waiting[3].done()
    assert (await applied.expect(3), await applied.expect(2)) == (10, None)
    applied.note(MAX_WAITING + 1, frame=20)
    assert await waiting[-1] == 20


async def test_the_channel_answers_everything_and_reports_each_second() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            await viewer.until(lambda: viewer.channel.readyState == "open")
            for text in ("ping 41", "no json", '["list"]', '{"type": "dance", "id": 3}', '{"type": "ping", "n": 5}'):
                viewer.channel.send(text)
            viewer.channel.send("x" * 20_000)
            await viewer.until(lambda: len(viewer.said("error")) >= 4 and bool(viewer.said("pong")))
            await viewer.until(lambda: len(viewer.said("stats")) >= 2)
            await world.http.delete(viewer.url)
            await viewer.until(lambda: bool(viewer.said("session_ended")))
    assert viewer.texts == ["pong 41"]
    codes = [one["error"]["code"] for one in viewer.said("error")]
    assert codes == ["bad_json", "bad_json", "unknown_type", "message_too_large"]
    assert viewer.said("error")[2]["id"] == 3
    assert viewer.said("pong") == [{"type": "pong", "n": 5}]
    assert "live" in [one["state"] for one in viewer.said("state")]
    stats = viewer.said("stats")[-1]
    assert stats["fps_out"] > 0
    assert stats["stage_ms"]["invert"] == 2.0
    assert viewer.said("session_ended") == [{"type": "session_ended", **farewell("deleted")}]


async def test_a_flood_of_messages_is_left_out_and_told_once_a_second() -> None:
    clock = StoppedClock()
    async with running(clock=clock) as world:
        await world.ready()
        viewer = Viewer(world.http)
        await viewer.connect()
        await viewer.until(lambda: viewer.channel.readyState == "open")
        for number in range(BURST + 50):
            viewer.channel.send(f"ping {number}")
        viewer.channel.send('{"type": "nonsense"}')
        await viewer.until(lambda: bool(viewer.said("error")) and len(viewer.texts) >= BURST)
        assert [one["error"]["code"] for one in viewer.said("error")] == ["too_many_messages"]
        assert len(viewer.texts) == BURST
        clock.seconds += 1.0
        viewer.channel.send("ping again")
        await viewer.until(lambda: viewer.texts[-1] == "pong again")
        await viewer.close()


class StoppedClock:
    """Goes on when a test says so."""

    def __init__(self) -> None:
        self.seconds = time.monotonic()

    def __call__(self) -> float:
        return self.seconds
