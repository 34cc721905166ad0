"""Keys, their limits, and pages from elsewhere."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from server.access.api_keys import WRONG_KEYS_PER_MINUTE, _address, name_of
from server.access.rate_limits import RateLimit
from server.config import ServerConfig
from tests.patience import until
from tests.server.http.test_api import assert_error
from tests.server.world import Viewer, World, running

KEYS = ("ann", "bob")


def with_key(world: World, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app, raise_app_exceptions=False), base_url="http://server", headers=headers
    )


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


async def test_an_address_that_guesses_keys_is_not_listened_to_for_a_while() -> None:
    async with running(ServerConfig(api_keys=KEYS)) as world:
        right = {"Authorization": f"Bearer {KEYS[0]}"}
        statuses = []
        for number in range(WRONG_KEYS_PER_MINUTE + 5):
            answer = await world.http.get("/api/v1/sessions", headers={"Authorization": f"Bearer guess {number}"})
            statuses.append(answer.status_code)
        assert statuses == [401] * WRONG_KEYS_PER_MINUTE + [429] * 5
        late = await world.http.get("/api/v1/sessions", headers=right)
        assert_error(late, 429, "too_many_requests")
        assert 0 < int(late.headers["Retry-After"]) <= 3
        assert (await world.http.get("/healthz")).status_code == 200
        elsewhere = httpx.ASGITransport(world.app, client=("192.0.2.7", 5))
        async with httpx.AsyncClient(transport=elsewhere, base_url="http://server") as http:
            assert (await http.get("/api/v1/sessions", headers=right)).status_code == 200
            for _ in range(WRONG_KEYS_PER_MINUTE + 5):
                assert (await http.get("/api/v1/sessions")).status_code == 401, "no key is no guess"


def test_a_bucket_is_full_at_first_and_fills_evenly() -> None:
    now = [0.0]
    rates = RateLimit(2, 0.5, lambda: now[0])
    assert [rates.take("a") for _ in range(3)] == [0.0, 0.0, 2.0]
    assert rates.wait("a") == 2.0 and rates.wait("b") == 0.0
    now[0] = 1.0
    assert rates.take("a") == 1.0
    now[0] = 2.0
    assert rates.take("a") == 0.0
    now[0] = 100.0
    assert [rates.take("a") for _ in range(3)] == [0.0, 0.0, 2.0], "it never holds more"


def test_an_address_of_ipv6_is_its_network() -> None:
    def address(text: str) -> str:
        return _address({"client": (text, 1)})

    assert address("2001:db8:1:2::5") == address("2001:db8:1:2:ffff::") != address("2001:db8:1:3::5")
    assert address("192.0.2.7") != address("192.0.2.8")
    assert _address({"client": None}) == ""


async def test_many_at_once_get_no_more_sessions_of_one_key_than_it_has() -> None:
    async with running(ServerConfig(max_sessions=8, api_keys=KEYS, max_sessions_per_key=2)) as world:
        await world.ready()
        async with with_key(world, "ann") as ann:
            viewers = [Viewer(ann) for _ in range(5)]
            answers = await asyncio.gather(*(viewer.ask() for viewer in viewers))
            assert sorted(one.status_code for one in answers) == [201] * 2 + [429] * 3
            assert world.app.state.manager.admission.load.owners == {name_of("ann"): 2}
            # One that comes back has its own place, though all are taken, and once only.
            token = next(one.json()["resume_token"] for one in answers if one.status_code == 201)
            again = [Viewer(ann) for _ in range(3)]
            answers = await asyncio.gather(*(viewer.ask(resume_token=token) for viewer in again))
            assert sorted(one.status_code for one in answers) == [201, 429, 429]
            await asyncio.gather(*(viewer.close() for viewer in [*viewers, *again]))


async def test_what_a_session_left_is_for_its_own_key() -> None:
    async with running(ServerConfig(api_keys=KEYS)) as world:
        await world.ready()
        async with with_key(world, "ann") as ann, with_key(world, "bob") as bob:
            viewer = Viewer(ann)
            await viewer.connect(edits={"smile": 0.5})
            await viewer.see(1)
            token = viewer.session["resume_token"]
            await viewer.close()
            await until(lambda: world.app.state.manager.admission.load.sessions == 0)
            for http, resumed in ((bob, False), (ann, True)):
                comer = Viewer(http)
                answer = await comer.ask(resume_token=token)
                assert answer.json()["resumed"] is resumed
                shown = (await http.get(comer.url)).json()
                assert shown["edits"] == ({"smile": 0.5} if resumed else {})
                await http.delete(comer.url)
                await comer.close()
