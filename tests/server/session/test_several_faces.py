"""Edits for one face of several, and what clients are told of faces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rigid.arrays import Pixels
from rigid.edits.face_edits import edits_of_face
from rigid.geometry import similarity
from rigid.stream.frame_record import FrameRecord, Sighting
from rigid.stream.group_stream import GroupRecord
from tests.patience import until
from tests.server.world import HEIGHT, WIDTH, PaintedResult, PaintingStream, Viewer, World, running
from tests.worlds import landmarks_in_crop


async def has_no_faces(world: World) -> bool:
    return "rigid_live_faces 0.0" in (await world.http.get("/metrics")).text


class CrowdStream(PaintingStream):
    """Sees the faces `there`; paints the `smile` of face 2, or of all where 2 has none of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.there = {1, 2}
        self.known = {1, 2}
        self.asked: Mapping[str, float] = {}

    def generate(self, located: FrameRecord, edits: Mapping[str, float]) -> FrameRecord:
        self.asked = edits
        record = super().generate(located, edits_of_face(edits, 2))
        group = {number: self._record(located.frame, number, bool(edits)) for number in sorted(self.known)}
        return Crowded(frame=record.frame, timestamp=record.timestamp, effect=record.effect, known=group)

    def _record(self, frame: Pixels, number: int, edited: bool) -> FrameRecord:
        transform = similarity(np.array([80.0 * number, 120.0]), 100.0, 0.0, (64, 64))
        crop = np.zeros((64, 64, 3), np.uint8)
        sighting = Sighting(transform, landmarks_in_crop(64), crop, frame.shape)
        pictures = np.zeros((2, 3, 64, 64), np.float32) if edited else None
        there = number in self.there
        return FrameRecord(
            frame=frame, timestamp=0.0, face=there, sighting=sighting if there else None, pictures=pictures
        )

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> PaintedResult:
        return replace(super().step(frame, edits, timestamp), numbers=tuple(sorted(self.there)))


class Crowded(GroupRecord):
    """A record that says itself who is known."""

    def __init__(self, *, known: Mapping[int, FrameRecord], **fields: object) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        object.__setattr__(self, "known", known)

    @property
    def members(self) -> Mapping[int, FrameRecord]:
        known: Mapping[int, FrameRecord] = self.__dict__["known"]
        return known


def crowd_of(world: World) -> CrowdStream:
    stream = world.streams[0]
    assert isinstance(stream, CrowdStream)
    return stream


async def change(world: World, viewer: Viewer, **body: object) -> tuple[int, dict[str, object]]:
    answer = await world.http.patch(f"{viewer.url}/edits", json={"ramp_ms": 0, "wait": True, **body})
    return answer.status_code, answer.json()


async def test_the_faces_of_the_newest_picture_are_listed() -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 1.0}) as viewer:
            await viewer.see(3)
            faces = (await world.http.get(f"{viewer.url}/faces")).json()
            stats = (await world.http.get(f"{viewer.url}/stats")).json()
            assert "rigid_live_faces 2.0" in (await world.http.get("/metrics")).text
            assert [face["id"] for face in stats["faces_seen"]] == [1, 2]
        await until(partial(has_no_faces, world))
    assert [face["id"] for face in faces] == [1, 2]
    left, top, right, bottom = faces[0]["box"]
    assert (left + right) / 2 == pytest.approx(80 / WIDTH, abs=0.01)
    assert (top + bottom) / 2 == pytest.approx(120 / HEIGHT, abs=0.03)
    assert faces[0]["edited"] and faces[0]["since"]


async def test_a_face_has_edits_of_its_own_until_they_are_taken_away() -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 1.0}) as viewer:
            await viewer.see(3)
            status, answer = await change(world, viewer, faces={"2": {"smile": -0.5}})
            assert (status, answer["edits"], answer["faces"]) == (200, {"smile": 1.0}, {"2": {"smile": -0.5}})
            assert crowd_of(world).asked == {"smile": 1.0, "2:smile": -0.5}
            await viewer.until(lambda: viewer.seen[-1].strength == pytest.approx(-0.5, abs=0.05))
            status, answer = await change(world, viewer, faces={"2": None})
            assert (status, answer["faces"]) == (200, {})
            await viewer.until(lambda: crowd_of(world).asked == {"smile": 1.0})


async def test_what_is_taken_away_glides_to_what_all_have() -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 1.0}) as viewer:
            await viewer.see(3)
            await change(world, viewer, faces={"2": {"smile": -1.0}})
            await change(world, viewer, faces={"2": None}, ramp_ms=400)
            await viewer.until(lambda: crowd_of(world).asked == {"smile": 1.0})
            strengths = world.streams[0].strengths
    assert any(-0.9 < one < 0.9 for one in strengths), "not at once"


async def test_a_preset_for_one_face_leaves_the_others_as_they_are() -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 1.0}) as viewer:
            await viewer.see(3)
            status, answer = await change(world, viewer, edits={"age": 0.5}, face=2)
            assert (status, answer["faces"]) == (200, {"2": {"age": 0.5}})
            preset = (await world.http.get("/api/v1/presets")).json()[0]
            status, answer = await change(world, viewer, preset=preset["name"], face=2)
            assert (status, answer["edits"]) == (200, {"smile": 1.0})
            own = answer["faces"]
            assert isinstance(own, dict)
            assert own["2"] == {"smile": 0.0, "age": 0.0, **preset["edits"]}


async def test_a_preset_for_all_takes_away_what_single_faces_had() -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 1.0}) as viewer:
            await viewer.see(3)
            await change(world, viewer, faces={"2": {"smile": -1.0}})
            preset = (await world.http.get("/api/v1/presets")).json()[0]
            _, answer = await change(world, viewer, preset=preset["name"])
            assert answer["faces"] == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"faces": {"3": {"smile": 1.0}}}, "There is no face 3; there are: 1, 2."),
        ({"edits": {"smile": 1.0}, "face": 7}, "There is no face 7; there are: 1, 2."),
    ],
)
async def test_a_face_that_is_not_there_is_told_with_those_that_are(body: dict[str, object], message: str) -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer() as viewer:
            await viewer.see(3)
            status, answer = await change(world, viewer, **body)
    error = answer["error"]
    assert isinstance(error, dict)
    assert (status, error["code"], error["message"]) == (404, "unknown_face", message)


@pytest.mark.parametrize(
    "body",
    [{"faces": {"two": {"smile": 1.0}}}, {"faces": {"0": {}}}, {"faces": []}, {"edits": {}, "face": "2"}, {"face": 2}],
)
async def test_what_names_no_face_is_refused(body: dict[str, object]) -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer() as viewer:
            await viewer.see(1)
            assert (await change(world, viewer, **body))[0] == 422


async def test_an_edit_of_a_face_that_left_waits_for_its_return() -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer() as viewer:
            await viewer.see(3)
            await change(world, viewer, faces={"2": {"smile": 1.0}})
            crowd_of(world).there = crowd_of(world).known = {1}
            await viewer.see(3)
            assert [face["id"] for face in (await world.http.get(f"{viewer.url}/faces")).json()] == [1]
            assert (await change(world, viewer, faces={"2": {"age": 1.0}}))[0] == 200
            assert crowd_of(world).asked == {"2:smile": 1.0, "2:age": 1.0}


async def test_the_channel_tells_where_faces_are_as_often_as_it_is_asked() -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer() as viewer:
            await viewer.see(3)
            await viewer.until(lambda: viewer.channel.readyState == "open")
            assert not viewer.said("faces")
            viewer.channel.send(json.dumps({"type": "faces", "id": "a", "every_ms": 50}))
            await viewer.until(lambda: len(viewer.said("faces")) >= 3)
            assert [face["id"] for face in viewer.said("faces")[-1]["faces"]] == [1, 2]
            viewer.channel.send(json.dumps({"type": "faces", "id": "b", "every_ms": 0}))
            await viewer.until(lambda: any(one["id"] == "b" for one in viewer.said("ack")))
            count = len(viewer.said("faces"))
            await viewer.see(10)
            assert len(viewer.said("faces")) == count
            viewer.channel.send(json.dumps({"type": "faces", "id": "c", "every_ms": -1}))
            await viewer.until(lambda: any(one["id"] == "c" for one in viewer.said("ack")))
            assert not next(one for one in viewer.said("ack") if one["id"] == "c")["ok"]


async def test_a_session_that_is_gone_on_with_keeps_single_faces_edits() -> None:
    async with running(make_stream=CrowdStream) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 1.0}) as viewer:
            await viewer.see(3)
            await change(world, viewer, faces={"2": {"smile": -1.0}})
            async with world.viewer(resume_token=viewer.session["resume_token"]) as later:
                await later.see(3)
                state = (await world.http.get(later.url)).json()
    assert (state["edits"], state["faces"]) == ({"smile": 1.0}, {"2": {"smile": -1.0}})
