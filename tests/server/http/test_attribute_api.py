"""What is on offer over HTTP, and what clients may add to it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.edits.attribute import Attribute
from rigid.edits.importing import ImportRequest, Target, import_attribute
from rigid.edits.library import AttributeLibrary, read_library
from rigid.edits.presets import PresetStore
from server.config import ServerConfig
from server.uploads.attribute_previews import Gallery
from server.uploads.uploads import MOST_AT_ONCE, Uploads
from tests.patience import PATIENCE_SECONDS
from tests.server.http.test_api import assert_error
from tests.server.world import LIBRARY, attribute, running

OPEN = ServerConfig(allow_uploads=True, max_upload_bytes=1 << 20)
BYTES = {"Content-Type": "application/octet-stream"}


def target(folder: Path) -> Target:
    return Target(folder / "imported", n_codes=16, code_size=4, family="")


def library() -> AttributeLibrary:
    direction = np.ones((16, 4), np.float32)
    smile = Attribute("smile", "Smile", "expression", -1.0, 1.0, 0.0, "", "made by hand", direction)
    return AttributeLibrary([smile], n_codes=16, code_size=4)


def npy(content: NDArray[np.float64]) -> bytes:
    file = io.BytesIO()
    np.save(file, content)
    return file.getvalue()


GRIN = npy(np.ones((1, 4)))


def saved(path: Path) -> Path:
    path.write_bytes(GRIN)
    return path


async def test_an_upload_is_usable_in_running_sessions_and_after_a_restart(tmp_path: Path) -> None:
    async with running(OPEN, library=library(), uploads=target(tmp_path)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            before = len(viewer.seen)
            asked = "name=grin&label=Grin&group=expression&layers=4-5&strength=2&filename=grin.npy"
            answer = await world.http.post(f"/api/v1/attributes?{asked}", content=GRIN, headers=BYTES)
            assert answer.status_code == 201, answer.text
            added = answer.json()
            assert answer.headers["Location"] == "/api/v1/attributes/grin"
            assert (added["label"], added["group"], added["custom"]) == ("Grin", "expression", True)
            assert (await world.http.get("/api/v1/attributes/grin")).json() == added
            assert (await world.http.get("/api/v1/attributes")).json()[-1] == added
            edited = await world.http.patch(f"{viewer.url}/edits", json={"edits": {"grin": -1}, "wait": True})
            assert edited.json()["applied_frame"] > 0
            assert len(viewer.seen) > before
            taken = await world.http.post("/api/v1/attributes?name=grin", content=GRIN, headers=BYTES)
            assert_error(taken, 409, "name_taken")
    again = read_library([], n_codes=16, code_size=4, custom=list((tmp_path / "imported").glob("*.safetensors")))
    assert {code: float(row[0]) for code, row in enumerate(again["grin"].direction) if row.any()} == {5: 2, 6: 2, 7: 2}


async def test_what_one_server_has_read_another_takes_as_it_is(tmp_path: Path) -> None:
    theirs = target(tmp_path / "theirs")
    mine, other = library(), library()
    first, second = Uploads(mine, target(tmp_path), OPEN), Uploads(other, theirs, OPEN)
    import_attribute(saved(tmp_path / "grin.npy"), ImportRequest(name="grin"), target(tmp_path))
    await first.take("grin", b"")
    assert first.names == {"grin"} and not second.names
    await second.take("grin", first.file("grin"))
    await second.take("grin", b"not read: it is there already")
    assert other["grin"].digest == mine["grin"].digest and second.file("grin") == first.file("grin")
    with pytest.raises(ValueError, match="lower case"):
        await second.take("../wink", first.file("grin"))
    with pytest.raises(ValueError, match="wink"):
        await second.take("wink", b"damaged")


@pytest.mark.parametrize(
    ("asked", "content", "status", "code", "said"),
    [
        ("name=grin", npy(np.ones((1, 5))), 422, "bad_attribute", "its values are (1, 5)"),
        ("name=grin", npy(np.full((1, 4), np.nan)), 422, "bad_attribute", "NaN"),
        ("name=grin", b"\x80\x04cposix\nsystem\n.", 422, "bad_attribute", "upload"),
        ("", GRIN, 422, "bad_attribute", "give the attribute a name"),
        ("name=smile", GRIN, 409, "name_taken", "'smile' already"),
        ("name=Grin", GRIN, 422, "bad_attribute", "lower case"),
        ("name=grin&layers=9-30", GRIN, 422, "bad_attribute", "9-30"),
        ("name=grin&group=moods", GRIN, 422, "bad_attribute", "moods"),
        ("name=grin&strength=nan", GRIN, 422, "invalid_request", "strength"),
        ("name=grin&colour=red", GRIN, 422, "invalid_request", "colour"),
        ("name=grin", b" " * ((1 << 20) + 1), 413, "file_too_large", "1 MiB"),
        ("name=grin&filename=stylegan3_age.npy", GRIN, 422, "bad_attribute", "StyleGAN3"),
    ],
)
async def test_a_bad_upload_is_refused_with_the_reason(
    tmp_path: Path, asked: str, content: bytes, status: int, code: str, said: str
) -> None:
    offered = library()
    async with running(OPEN, library=offered, uploads=target(tmp_path)) as world:
        answer = await world.http.post(f"/api/v1/attributes?{asked}", content=content, headers=BYTES)
        assert_error(answer, status, code)
        assert said in answer.json()["error"]["message"]
        assert str(tmp_path) not in answer.text
    assert offered.names == ["smile"]
    assert not list(tmp_path.rglob("*.safetensors"))


async def test_uploads_are_off_unless_asked_for_and_no_other_site_can_make_one(tmp_path: Path) -> None:
    async with running(library=library(), uploads=target(tmp_path)) as world:
        refused = await world.http.post("/api/v1/attributes?name=grin", content=GRIN, headers=BYTES)
        assert_error(refused, 403, "uploads_off")
    async with running(OPEN, library=library(), uploads=target(tmp_path)) as world:
        # what a form of another page can send without being asked first
        for kind in ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"):
            answer = await world.http.post("/api/v1/attributes?name=g", content=GRIN, headers={"Content-Type": kind})
            assert_error(answer, 415, "unsupported_media_type")


async def test_a_slow_file_holds_no_other_up_and_too_many_are_refused(tmp_path: Path) -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield GRIN[:10]
        begun.release()
        await go_on.wait()
        yield GRIN[10:]

    async with running(OPEN, library=library(), uploads=target(tmp_path)) as world:
        first = asyncio.create_task(_post(world.http, "grin", slow()))
        await asyncio.wait_for(begun.acquire(), PATIENCE_SECONDS)
        quick = await world.http.post("/api/v1/attributes?name=other", content=GRIN, headers=BYTES)
        assert quick.status_code == 201
        slow_ones = [first]
        for number in range(1, MOST_AT_ONCE):
            slow_ones.append(asyncio.create_task(_post(world.http, f"slow_{number}", slow())))
            await asyncio.wait_for(begun.acquire(), PATIENCE_SECONDS)
        busy = await world.http.post("/api/v1/attributes?name=another", content=GRIN, headers=BYTES)
        assert_error(busy, 503, "busy")
        go_on.set()
        assert [one.status_code for one in await asyncio.gather(*slow_ones)] == [201] * MOST_AT_ONCE


async def test_two_files_of_one_name_are_one_attribute(tmp_path: Path) -> None:
    async with running(OPEN, library=library(), uploads=target(tmp_path)) as world:
        answers = await asyncio.gather(
            *(world.http.post("/api/v1/attributes?name=grin", content=GRIN, headers=BYTES) for _ in range(2))
        )
        assert sorted(one.status_code for one in answers) == [201, 409]


async def test_a_file_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield GRIN[:10]
        await asyncio.Event().wait()

    async with running(replace(OPEN, upload_seconds=0.05), library=library(), uploads=target(tmp_path)) as world:
        assert_error(await _post(world.http, "grin", never()), 408, "too_slow")
        assert list(tmp_path.glob("**/*.safetensors")) == []


async def _post(http: httpx.AsyncClient, name: str, body: AsyncIterator[bytes]) -> httpx.Response:
    return await http.post(f"/api/v1/attributes?name={name}", content=body, headers=BYTES)


class Painter:
    """Paints a strength as grey, and counts."""

    def __init__(self) -> None:
        self.painted: list[tuple[str, float]] = []
        self.broken = False

    def __call__(self, attribute: Attribute, strength: float) -> NDArray[np.uint8]:
        if self.broken:
            raise RuntimeError("the engine lost its device")
        self.painted.append((attribute.name, strength))
        return np.full((16, 16, 3), round(128 + 100 * strength), np.uint8)


async def test_a_strip_is_rendered_once_and_kept_on_disk(tmp_path: Path) -> None:
    painter = Painter()
    for _ in range(2):
        async with running(gallery=Gallery(painter, tmp_path)) as world:
            await world.ready()
            url = (await world.http.get("/api/v1/attributes")).json()[0]["strip"]
            answers = await asyncio.gather(world.http.get(url), world.http.get(url))
    assert [strength for _, strength in painter.painted] == [-1, -0.5, 0, 0.5, 1]
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].headers["Content-Type"] == "image/jpeg"
    assert "max-age" in answers[0].headers["Cache-Control"]
    picture = cv2.imdecode(np.frombuffer(answers[0].content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape == (16, 80, 3)
    assert [round(float(picture[:, 16 * i + 4 : 16 * i + 12].mean()), -1) for i in range(5)] == [30, 80, 130, 180, 230]


async def test_a_strip_is_painted_anew_once_the_attribute_is_another(tmp_path: Path) -> None:
    for strength in (1.0, 2.0):
        other = AttributeLibrary([attribute("smile")], n_codes=2, code_size=4)
        other["smile"].direction[:] = strength
        async with running(gallery=Gallery(Painter(), tmp_path), library=other) as world:
            await world.ready()
            assert (await world.http.get("/api/v1/attributes/smile/strip.jpg")).status_code == 200
    assert len(list(tmp_path.iterdir())) == 1


async def test_strips_that_cannot_be(tmp_path: Path) -> None:
    painter = Painter()
    painter.broken = True
    async with running(gallery=Gallery(painter, tmp_path)) as world:
        await world.ready()
        assert_error(await world.http.get("/api/v1/attributes/grin/strip.jpg"), 404, "unknown_attribute")
        assert_error(await world.http.get("/api/v1/attributes/smile/strip.jpg"), 500, "internal_error")
        painter.broken = False
        assert (await world.http.get("/api/v1/attributes/smile/strip.jpg")).status_code == 200
    async with running() as world:
        assert_error(await world.http.get("/api/v1/attributes/smile/strip.jpg"), 404, "no_pictures")
        assert (await world.http.get("/api/v1/attributes")).json()[0]["strip"] is None


async def test_presets_are_kept_only_where_that_is_allowed(tmp_path: Path) -> None:
    store = PresetStore(LIBRARY, tmp_path)
    async with running(presets=store) as world:
        refused = await world.http.put("/api/v1/presets/mine", json={"edits": {"smile": 1}})
        assert_error(refused, 403, "uploads_off")
        assert "--allow-uploads" in refused.json()["error"]["hint"]
        assert_error(await world.http.delete("/api/v1/presets/mine"), 403, "uploads_off")
    assert list(tmp_path.iterdir()) == []


async def test_a_preset_is_kept_used_and_forgotten(tmp_path: Path) -> None:
    async with running(OPEN, presets=PresetStore(LIBRARY, tmp_path), uploads=target(tmp_path)) as world:
        await world.ready()
        body = {"label": "Mine", "edits": {"smile": 0.25}, "fade_ms": 0}
        saved = (await world.http.put("/api/v1/presets/mine", json=body)).json()
        assert saved == {"name": "mine", **body, "easing": "smooth", "custom": True}
        assert (await world.http.get("/api/v1/presets")).json()[-1] == saved
        async with world.viewer() as viewer:
            answer = await world.http.patch(f"{viewer.url}/edits", json={"preset": "mine", "wait": True})
            assert answer.json()["edits"] == {"smile": 0.25}
            assert world.streams[0].strengths[answer.json()["applied_frame"] - 1] == 0.25
        assert (await world.http.delete("/api/v1/presets/mine")).status_code == 204
        assert_error(await world.http.delete("/api/v1/presets/mine"), 404, "unknown_preset")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("happy", {"edits": {"smile": 1}}, "bad_preset"),
        ("Mine", {"edits": {"smile": 1}}, "bad_preset"),
        ("mine", {"edits": {"grin": 1}}, "bad_preset"),
        ("mine", {"edits": {"smile": 1}, "fade_ms": -1}, "invalid_request"),
        ("mine", {"edits": {"smile": 1}, "colour": "red"}, "invalid_request"),
        ("mine", {}, "invalid_request"),
    ],
)
async def test_a_bad_preset_is_refused(tmp_path: Path, name: str, body: dict[str, object], code: str) -> None:
    async with running(OPEN, presets=PresetStore(LIBRARY, tmp_path), uploads=target(tmp_path)) as world:
        assert_error(await world.http.put(f"/api/v1/presets/{name}", json=body), 422, code)
    assert list(tmp_path.iterdir()) == []
