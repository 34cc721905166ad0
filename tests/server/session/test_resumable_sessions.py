"""Sessions that were lost and are gone on with: what is kept, for how long, and for whom."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pytest

from rigid.arrays import Pixels
from server.config import ServerConfig
from server.session.resumable_sessions import ResumableSessions, SessionCheckpoint
from tests.server.session.test_sessions import none_left, sessions
from tests.server.world import MovableClock, PaintedResult, PaintingStream, Viewer, World, running
from tests.worlds import make_stream, memory_of, textured_frame


class RememberingStream(PaintingStream):
    """Paints for the viewer, while a real stream edits a face in a tiny world."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = make_stream()
        self.taken_over: bytes | None = None

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> PaintedResult:
        # the viewer's barcodes change too much from frame to frame to be one face
        assert self.inner.step(textured_frame(), {"light": 1.0}, timestamp).error is None
        return super().step(frame, edits, timestamp)

    def save(self) -> bytes:
        return self.inner.save()

    def restore(self, data: bytes) -> None:
        self.inner.restore(data)
        self.taken_over = self.inner.save()


async def lose(world: World, **body: object) -> str:
    """A viewer that comes, and whose connection then ends; its token."""
    async with world.viewer(**body) as viewer:  # type: ignore[arg-type]
        token: str = viewer.session["resume_token"]
    await none_left(world)
    return token


def resumed(text: str) -> float:
    return float(text.split("rigid_live_sessions_resumed_total ")[-1].split()[0])


async def test_a_lost_session_goes_on_with_its_edits_and_its_streams_state() -> None:
    made: list[RememberingStream] = []

    def remembering() -> RememberingStream:
        made.append(RememberingStream())
        return made[-1]

    async with running(make_stream=remembering) as world:
        await world.ready()
        token = await lose(world, edits={"smile": 0.5})
        async with world.viewer(resume_token=token, edits={"age": 1.0}) as back:
            assert (await sessions(world))[0]["edits"] == {"smile": 0.5, "age": 1.0}
            assert back.session["resumed"] is True
            await back.see(3)
            assert resumed((await world.http.get("/metrics")).text) == 1
    first, second = made
    assert second.taken_over == first.inner.save()
    before, after = (memory_of(stream.inner) for stream in made)
    assert before.hidden.min() > 0 and after.hidden.min() >= before.hidden.max() + 3, "the memory counts on"
    assert before.late_codes is not None and after.late_codes is not None
    np.testing.assert_array_equal(after.late_codes, before.late_codes)


async def test_an_open_session_hands_its_state_to_the_one_that_replaces_it() -> None:
    async with running(ServerConfig(max_sessions=1)) as world:
        await world.ready()
        async with world.viewer() as lost, world.viewer(resume_token=lost.session["resume_token"]):
            old, new = world.streams
    assert new.restored == [b"%d steps" % old.steps] and old.closed == 1


async def test_a_token_serves_once_and_only_who_was_lost() -> None:
    async with running() as world:
        await world.ready()
        token = await lose(world)
        await lose(world, resume_token=token)
        async with world.viewer(resume_token=token) as stale, world.viewer(resume_token="guessed") as guessed:
            assert not stale.session["resumed"] and not guessed.session["resumed"]
            assert [len(stream.restored) for stream in world.streams] == [0, 1, 0, 0]


@pytest.mark.parametrize("end", ["deleted", "left"])
async def test_of_a_session_ended_on_purpose_nothing_is_kept(end: str) -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer(edits={"smile": 0.5}) as viewer:
            await (world.http.delete(viewer.url) if end == "deleted" else world.http.post(f"{viewer.url}/close"))
            await none_left(world)
        async with world.viewer(resume_token=viewer.session["resume_token"]):
            assert (await sessions(world))[0]["edits"] == {}
        assert not world.streams[1].restored


async def test_a_full_server_keeps_the_state_for_the_next_try() -> None:
    async with running(ServerConfig(max_sessions=1)) as world:
        await world.ready()
        token = await lose(world)
        async with world.viewer():
            late = Viewer(world.http)
            assert (await late.connect(resume_token=token)).status_code == 503
            await late.close()
        await none_left(world)
        async with world.viewer(resume_token=token):
            assert len(world.streams[-1].restored) == 1


async def test_a_state_that_cannot_be_saved_or_used_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    class Unable(PaintingStream):
        def save(self) -> bytes:
            if self is world.streams[0]:
                raise RuntimeError("out of memory")
            return b"state"

        def restore(self, data: bytes) -> None:
            raise ValueError("The saved stream state is damaged.")

    async with running(make_stream=Unable) as world:
        await world.ready()
        with caplog.at_level(logging.WARNING):
            first = await lose(world, edits={"smile": 0.5})
            second = await lose(world, resume_token=first)
            async with world.viewer(resume_token=second):
                assert (await sessions(world))[0]["edits"] == {"smile": 0.5}
        assert resumed((await world.http.get("/metrics")).text) == 0
    told = [record.getMessage() for record in caplog.records]
    assert any("could not be saved" in one for one in told) and any("begins anew" in one for one in told)
    assert all(stream.closed for stream in world.streams)


async def test_what_nobody_comes_back_for_is_let_go() -> None:
    clock = MovableClock()
    async with running(ServerConfig(resume_seconds=60.0), clock=clock) as world:
        await world.ready()
        token = await lose(world, edits={"smile": 0.5})
        clock.forward(61.0)
        async with world.viewer(resume_token=token):
            assert (await sessions(world))[0]["edits"] == {}
        assert not world.streams[1].restored


def test_as_many_are_kept_as_stated_and_as_long() -> None:
    now = [0.0]
    sessions = ResumableSessions(10.0, 2, lambda: now[0])
    for i in range(3):
        now[0] = float(i)
        sessions.put(f"token {i}", SessionCheckpoint({"smile": float(i)}, b"x"))
    assert sessions.find("token 0") is None and len(sessions) == 2
    assert sessions.find("token 1") == SessionCheckpoint({"smile": 1.0}, b"x") == sessions.find("token 1")
    now[0] = 11.5
    sessions.forget_old()
    assert len(sessions) == 1 and sessions.find("token 1") is None
    sessions.forget("token 2")
    sessions.forget("token 2")
    assert not len(sessions)
    sessions.put("again", SessionCheckpoint({}, None))
    sessions.clear()
    assert sessions.find("again") is None
