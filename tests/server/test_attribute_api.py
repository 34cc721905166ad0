"""What is on offer over HTTP, and what clients may add to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rigid.attributes.presets import PresetStore
from server.config import ServerConfig
from tests.server.test_api import assert_error
from tests.server.world import LIBRARY, running

OPEN = ServerConfig(allow_uploads=True)


async def test_presets_are_kept_only_where_that_is_allowed(tmp_path: Path) -> None:
    store = PresetStore(LIBRARY, tmp_path)
    async with running(presets=store) as world:
        refused = await world.http.put("/api/v1/presets/mine", json={"edits": {"smile": 1}})
        assert_error(refused, 403, "uploads_off")
        assert "--allow-uploads" in refused.json()["error"]["hint"]
        assert_error(await world.http.delete("/api/v1/presets/mine"), 403, "uploads_off")
    assert list(tmp_path.iterdir()) == []


async def test_a_preset_is_kept_used_and_forgotten(tmp_path: Path) -> None:
    async with running(OPEN, presets=PresetStore(LIBRARY, tmp_path)) as world:
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
    async with running(OPEN, presets=PresetStore(LIBRARY, tmp_path)) as world:
        assert_error(await world.http.put(f"/api/v1/presets/{name}", json=body), 422, code)
    assert list(tmp_path.iterdir()) == []
