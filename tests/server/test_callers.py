"""Keys, their limits, and pages from elsewhere."""

from __future__ import annotations

import httpx
import pytest

from server.callers import RequestLimit, name_of
from server.config import ServerConfig
from tests.server.test_api import assert_error
from tests.server.world import Viewer, World, running

KEYS = ("ann", "bob")


def with_key(world: World, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=world.http._transport, base_url="http://server", headers=headers)


async def test_a_key_sees_and_changes_its_own_sessions_only() -> None:
    async with running(ServerConfig(api_keys=KEYS)) as world:
        await world.ready()
        async with with_key(world, "ann") as ann, with_key(world, "bob") as bob:
            viewer = Viewer(ann)
            assert (await viewer.connect()).status_code == 201
            await viewer.see(1)
            assert [one["id"] for one in (await ann.get("/api/v1/sessions")).json()] == [viewer.session["id"]]
            assert (await bob.get("/api/v1/sessions")).json() == []
            assert_error(await bob.get(viewer.url), 404, "unknown_session")
            assert_error(await bob.patch(f"{viewer.url}/edits", json={"edits": {"smile": 1}}), 404, "unknown_session")
            assert_error(await bob.delete(viewer.url), 404, "unknown_session")
            thief = Viewer(bob)
            answer = await thief.connect(resume_token=viewer.session["resume_token"])
            assert answer.json()["resumed"] is False
            await viewer.see(1)
            await thief.close()
            await viewer.close()


async def test_a_key_has_its_own_number_of_sessions() -> None:
    async with running(ServerConfig(api_keys=KEYS, max_sessions_per_key=1)) as world:
        await world.ready()
        async with with_key(world, "ann") as ann, with_key(world, "bob") as bob:
            viewers = [Viewer(ann), Viewer(ann), Viewer(bob)]
            answers = [await viewer.connect() for viewer in viewers]
            assert [answer.status_code for answer in answers] == [201, 429, 201]
            assert_error(answers[1], 429, "key_full")
            assert answers[1].headers["Retry-After"] == "5"
            for viewer in viewers:
                await viewer.close()


async def test_a_flood_of_requests_is_turned_away_and_others_are_not() -> None:
    config = ServerConfig(api_keys=KEYS, requests_per_minute=5)
    async with running(config) as world, with_key(world, "ann") as ann, with_key(world, "bob") as bob:
        answers = [await ann.get("/api/v1/sessions") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert_error(answers[-1], 429, "too_many_requests")
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12
        assert (await bob.get("/api/v1/sessions")).status_code == 200
        assert (await ann.get("/healthz")).status_code == 200


async def test_the_bucket_fills_evenly() -> None:
    now = [0.0]
    limit = RequestLimit(lambda scope, receive, send: None, 60, lambda: now[0])  # type: ignore[arg-type, return-value]
    assert [limit._take("x") for _ in range(60)] == [0.0] * 60
    assert limit._take("x") == pytest.approx(1.0)
    now[0] = 2.0
    assert [limit._take("x") > 0 for _ in range(3)] == [False, False, True]
    for number in range(3000):
        limit._take(str(number))
    assert len(limit._buckets) <= 1024


def test_a_keys_name_does_not_tell_it() -> None:
    assert name_of("sesame") != name_of("sesamf")
    assert "sesame" not in name_of("sesame")


async def test_pages_of_origins_allowed_may_ask_and_no_others() -> None:
    config = ServerConfig(api_keys=KEYS, allow_origins=("https://shop.example",))
    async with running(config) as world:
        preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        allowed = await world.http.options("/api/v1/sessions", headers=preflight)
        assert allowed.status_code == 204
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "Authorization" in allowed.headers["Access-Control-Allow-Headers"]
        # Every method of the API but the safe ones needs a preflight (Fetch standard).
        assert {"PUT", "PATCH", "DELETE"} <= set(allowed.headers["Access-Control-Allow-Methods"].split(", "))
        answer = await world.http.get("/api/v1/sessions", headers={"Origin": "https://shop.example"})
        assert answer.status_code == 401, "a key is needed all the same"
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "Origin" in answer.headers["Vary"]
        for origin in ("https://else.example", "null", "http://shop.example", "https://shop.example.evil.example"):
            refused = await world.http.get("/api/v1/attributes", headers={"Origin": origin})
            assert "Access-Control-Allow-Origin" not in refused.headers
            refused = await world.http.options("/api/v1/sessions", headers={**preflight, "Origin": origin})
            assert "Access-Control-Allow-Origin" not in refused.headers


@pytest.mark.parametrize("origin", ["*", "shop.example", "https://*.example", "https://shop.example/path"])
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="no origin"):
        ServerConfig(allow_origins=(origin,))
