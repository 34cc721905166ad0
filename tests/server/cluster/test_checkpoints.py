"""Copies of sessions: what is sent, how small, how long it is kept, and that a stream goes on from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigid.inversion.inverter import Memory
from rigid.models.contract import RecurrentState
from rigid.stream.state_packing import pack, unpack
from rigid.stream.stream_state import StreamState, state_from_bytes, state_to_bytes
from server.cluster.checkpoints import CheckpointSender, CheckpointStore
from server.config import ServerConfig
from server.session.resumable_sessions import SessionCheckpoint
from tests.fakes import TINY
from tests.server.session.test_sessions import none_left
from tests.server.world import running
from tests.worlds import make_stream, memory_of, textured_frame


def test_a_streams_state_comes_through_small_and_it_goes_on_from_there() -> None:
    stream = make_stream()
    for i in range(3):
        assert stream.step(textured_frame(), {"light": 1.0}, i / 10).error is None
    state = stream.save()
    small = pack(state)
    assert len(small) < len(state) / 2
    back = make_stream()
    back.restore(unpack(small))
    before, after = memory_of(stream), memory_of(back)
    np.testing.assert_array_equal(after.hidden, before.hidden)
    assert before.late_codes is not None and after.late_codes is not None
    np.testing.assert_array_equal(after.late_codes, before.late_codes)
    for name in ("previous_input", "previous_inverted", "previous_edited"):
        assert np.abs(getattr(after, name) - getattr(before, name)).mean() < 0.03, name
    result = back.step(textured_frame(), {"light": 1.0}, 0.3)
    assert result.error is None and result.edited


def test_what_is_no_state_goes_through_as_it_is() -> None:
    assert unpack(pack(b"12 steps")) == b"12 steps"
    fresh = state_to_bytes(StreamState.initial(TINY))
    assert state_from_bytes(unpack(pack(fresh)), TINY).level is None


def test_a_damaged_picture_is_one_sentence() -> None:
    image = np.zeros((1, 3, TINY.image_size, TINY.image_size), np.float32)
    recurrent = replace(RecurrentState.initial(TINY), previous_input=image)
    small = pack(state_to_bytes(StreamState(Memory(recurrent))))
    at = small.index(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match="damaged"):
        unpack(small[:at] + bytes(len(small) - at))


async def test_every_session_is_sent_each_time_and_what_ended_once() -> None:
    async with running() as world:
        await world.ready()
        copies = CheckpointSender(world.app.state.manager)
        async with world.viewer(edits={"smile": 0.5}) as viewer:
            token = viewer.session["resume_token"]
            first, gone = copies.next("b")
            assert first == {token: SessionCheckpoint({"smile": 0.5}, None)} and not gone
            # Sent is what was saved after an earlier request, with the picture that came next.
            await viewer.until(lambda: (copies.next("b")[0][token].state or b"").endswith(b"steps"))
        await none_left(world)
        assert set(copies.next("b")[0]) == {token}, "its client may come back"
        assert copies.next("b") == ({}, set())
        assert set(copies.next("c")[0]) == {token}, "who is new gets all of it"
        world.app.state.manager.resumable.forget(token)
        assert copies.next("c") == ({}, {token})


async def test_of_a_session_ended_on_purpose_the_copy_is_let_go() -> None:
    async with running() as world:
        await world.ready()
        copies = CheckpointSender(world.app.state.manager)
        async with world.viewer() as viewer:
            token = viewer.session["resume_token"]
            assert set(copies.next("b")[0]) == {token}
            await world.http.delete(viewer.url)
            await none_left(world)
            assert copies.next("b") == ({}, {token})


async def test_a_workers_sessions_bear_its_name_and_move_out_together() -> None:
    async with running(ServerConfig(worker="w1")) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 0.5}) as one, world.viewer() as other:
            assert all(viewer.session["id"].startswith("w1.") for viewer in (one, other))
            assert one.session["resume_token"].startswith("w1.")
            manager = world.app.state.manager
            assert await manager.move_out() == 2
            assert manager.admission.load.sessions == 0 and manager.admission.draining
            await one.until(lambda: [said["reason"] for said in one.said("session_ended")] == ["moved"])
            kept = manager.resumable.all()[one.session["resume_token"]]
            assert kept.edits == {"smile": 0.5} and kept.state


def test_copies_are_kept_for_a_while_and_the_newest_counts() -> None:
    now = [100.0]
    store = CheckpointStore(10.0, 2, lambda: now[0])
    store.put({"a": SessionCheckpoint({"smile": 0.1}, b"1"), "b": SessionCheckpoint({}, None)}, ())
    now[0] = 101.0
    store.put({"a": SessionCheckpoint({"smile": 0.2}, b"2")}, ["b"])
    assert store.find("a") == (101.0, SessionCheckpoint({"smile": 0.2}, b"2"))
    assert store.find("b") is None and len(store) == 1
    now[0] = 112.0
    assert store.find("a") is None
