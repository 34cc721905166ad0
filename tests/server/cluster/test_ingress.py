"""The ingress before workers that are made by hand: whom it asks, and what it answers when nobody can."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from server.access.api_keys import name_of
from server.cluster.actors import Actors, Gone, Unreachable
from server.cluster.ingress import build_ingress
from server.cluster.messages import HttpReply, HttpRequest, Opening, Placement
from server.cluster.names import FLEET
from server.config import ServerConfig
from server.session.resumable_sessions import SessionCheckpoint
from server.uploads.uploads import MOST_AT_ONCE
from tests.server.http.test_api import assert_error

JSON = [(b"content-type", b"application/json")]
pytestmark = pytest.mark.filterwarnings("error")


class HandMade(Actors):
    """Workers that answer with what they are asked; `faults` by name of the actor and the method."""

    def __init__(self, *workers: str) -> None:
        super().__init__()
        self.workers = workers
        self.refusal = Placement(code="server_full", message="This cluster is full.", hint="Later.")
        self.full = False
        self.faults: dict[tuple[str, str], Exception] = {}
        self.replies: dict[str, HttpReply] = {}
        self.kept: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, str, tuple[object, ...]]] = []

    async def call(self, name: str, method: str, *arguments: object, seconds: float = 1.0) -> Any:
        self.asked.append((name, method, arguments))
        fault = self.faults.get((name, method))
        if fault is not None:
            raise fault
        if name == FLEET and method in ("place", "workers", "describe"):
            described = [{"name": one, "state": "ready"} for one in self.workers]
            if method == "place":
                left = [one for one in self.workers if one not in tried_of(arguments) and not self.full]
                return Placement(left[0], 7) if left else self.refusal
            return {"workers": list(self.workers), "describe": described}[method]
        if method in ("give_up", "find_kept"):
            return self.kept.get((name, method))
        if method != "request":
            return None
        assert isinstance(arguments[0], HttpRequest)
        said = {"worker": name, "path": arguments[0].path, "body": arguments[0].body.decode()}
        return self.replies.get(name) or HttpReply(200, JSON, json.dumps(said).encode())

    def refused(self) -> list[Placement]:
        return [_placement(arguments[0]) for _, method, arguments in self.asked if method == "note_refusal"]

    def requests(self) -> list[tuple[str, tuple[object, ...]]]:
        return [(name, arguments[1:]) for name, method, arguments in self.asked if method == "request"]


def _placement(value: object) -> Placement:
    assert isinstance(value, Placement)
    return value


def tried_of(arguments: tuple[object, ...]) -> list[str]:
    tried = arguments[1]
    assert isinstance(tried, list)
    return tried


@asynccontextmanager
async def before(actors: HandMade, config: ServerConfig | None = None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_ingress(config or ServerConfig(), "one", actors), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/sessions/w2.x"),
        ("PATCH", "/api/v1/sessions/w2.x/edits"),
        ("POST", "/api/v1/sessions/w2.x/close"),
        ("DELETE", "/whip/w2.x"),
        ("POST", "/whep/w2.x"),
        ("PATCH", "/whep/w2.x/w2.y"),
    ],
)
async def test_a_sessions_requests_go_to_its_worker(method: str, path: str) -> None:
    async with before(HandMade("w1", "w2")) as http:
        answer = await http.request(method, path, content=b"{}")
    assert answer.json() == {"worker": "w2", "path": path, "body": "{}"}
    assert answer.headers["x-ingress"] == "one" and answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("fault", "status", "code"), [(Gone(""), 410, "session_closed"), (Unreachable(""), 503, "worker_lost")]
)
async def test_a_session_whose_worker_is_gone_is_said_so(fault: Exception, status: int, code: str) -> None:
    actors = HandMade("w1", "w2")
    actors.faults["w2", "request"] = fault
    async with before(actors) as http:
        answer = await http.get("/api/v1/sessions/w2.x")
        other = await http.get("/api/v1/sessions/w1.x")
        nowhere = await http.get("/api/v1/sessions/plain")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "resume token" in answer.json()["error"]["hint"]
    assert (other.status_code, nowhere.status_code) == (200, 404)


async def test_a_session_is_tried_elsewhere_where_the_first_choice_refuses_or_dies() -> None:
    actors = HandMade("w1", "w2", "w3")
    actors.faults["w1", "request"] = Gone("")
    actors.replies["w2"] = HttpReply(503, JSON, b'{"error": {"code": "server_full"}}')
    actors.replies["w3"] = HttpReply(201, JSON, b"{}")
    async with before(actors) as http:
        assert (await http.post("/api/v1/sessions", json={})).status_code == 201
        del actors.replies["w3"]
        actors.faults["w3", "request"] = Unreachable("")
        refused = await http.post("/offer", json={})
    assert refused.status_code == 503 and refused.json()["error"]["code"] == "server_full"
    assert [one.worker for one in actors.refused()] == ["w1", "w2", "w1", "w2", "w3"], "no place stays reserved"


@pytest.mark.parametrize(
    ("placement", "status"),
    [
        (Placement(code="server_full", message="This cluster is full.", hint="Later."), 503),
        (Placement("", 0, 429, "key_full", "All are taken.", "Close one."), 429),
    ],
)
async def test_a_full_cluster_refuses_in_one_sentence(placement: Placement, status: int) -> None:
    actors = HandMade("w1")
    actors.refusal, actors.full = placement, True
    async with before(actors) as http:
        answer = await http.post("/api/v1/sessions", json={})
        assert (await http.get("/api/v1/sessions/w1.x")).status_code == 200, "the rest goes on"
    assert answer.status_code == status and answer.headers["Retry-After"]
    assert answer.json()["error"] == {"code": placement.code, "message": placement.message, "hint": placement.hint}


async def test_without_workers_or_without_the_fleet_it_is_not_ready() -> None:
    async with before(HandMade()) as http:
        for path in ("/readyz", "/", "/api/v1/attributes"):
            assert (await http.get(path)).json()["error"]["code"] == "not_ready"
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/api/v1/sessions")).json() == []
    lost = HandMade("w1")
    lost.faults = {(FLEET, method): Unreachable("") for method in ("place", "describe", "workers")}
    async with before(lost) as http:
        assert (await http.post("/whip", content=b"v=0")).status_code == 503
        assert (await http.get("/api/v1/sessions/w1.x")).status_code == 200, "its worker is asked all the same"


async def test_a_client_comes_back_to_what_its_own_worker_has() -> None:
    actors, kept = HandMade("w1", "w2"), SessionCheckpoint({"smile": 0.5}, b"exact")
    actors.kept["w2", "give_up"] = kept
    actors.kept["w1", "find_kept"] = (5.0, SessionCheckpoint({}, b"copy"))
    actors.replies["w1"] = HttpReply(201, JSON, b"{}")
    async with before(actors) as http:
        assert (await http.post("/api/v1/sessions", json={"resume_token": "w2.t"})).status_code == 201
    assert actors.requests() == [("w1", (Opening(7, "w2.t", kept),))]
    assert [one[0] for one in actors.asked if one[1] == "forget"] == ["w2"]


async def test_a_client_comes_back_to_the_newest_copy_where_its_worker_is_gone() -> None:
    actors, newest = HandMade("w1", "w2"), SessionCheckpoint({"smile": 0.5}, b"newest")
    actors.faults["w9", "give_up"] = Gone("")
    actors.kept["w1", "find_kept"] = (5.0, SessionCheckpoint({}, b"older"))
    actors.kept[FLEET, "find_kept"] = (6.0, newest)
    actors.replies["w1"] = HttpReply(201, JSON, b"{}")
    async with before(actors) as http:
        await http.post("/api/v1/sessions", json={"resume_token": "w9.t"})
    assert actors.requests() == [("w1", (Opening(7, "w9.t", newest),))]
    assert {one[0] for one in actors.asked if one[1] == "forget"} == {"w1", FLEET}


async def test_a_worker_that_does_not_give_up_its_session_is_not_tried_for_it() -> None:
    actors = HandMade("w1", "w2")
    actors.faults["w1", "give_up"] = Unreachable("")
    actors.kept["w2", "find_kept"] = (5.0, SessionCheckpoint({}, b"copy"))
    async with before(actors) as http:
        await http.post("/api/v1/sessions", json={"resume_token": "w1.t"})
    assert actors.requests() == [("w2", (Opening(7, "w1.t", SessionCheckpoint({}, b"copy")),))]


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"resume_token": 5}', b'{"resume_token": "guessed"}'])
async def test_what_is_no_resume_token_is_left_to_the_worker(body: bytes) -> None:
    actors = HandMade("w1")
    async with before(actors) as http:
        await http.post("/api/v1/sessions", content=body)
    assert not [one for one in actors.asked if one[1] in ("give_up", "find_kept")]
    assert len(actors.requests()) == 1


async def test_lists_are_those_of_all_workers_that_answer() -> None:
    actors = HandMade("w1", "w2", "w3")
    actors.replies["w1"] = HttpReply(200, JSON, b'[{"id": "w1.a"}]')
    actors.replies["w3"] = HttpReply(200, JSON, b'[{"id": "w3.b"}]')
    actors.faults["w2", "request"] = Unreachable("")
    async with before(actors) as http:
        assert (await http.get("/api/v1/sessions")).json() == [{"id": "w1.a"}, {"id": "w3.b"}]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/api/v1/attributes", "takes no attributes from clients"),
        ("PUT", "/api/v1/presets/mine", "on one node alone"),
        ("DELETE", "/api/v1/presets/mine", "on one node alone"),
    ],
)
async def test_what_clients_may_not_leave_here_is_refused(method: str, path: str, said: str) -> None:
    actors = HandMade("w1")
    async with before(actors) as http:
        answer = await http.request(method, path, content=b"{}")
        assert (await http.get(path)).json()["worker"] == "w1"
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "uploads_off")
    assert said in answer.json()["error"]["message"] and len(actors.requests()) == 1


async def test_an_attribute_from_a_client_is_read_by_one_worker_and_given_to_all() -> None:
    actors = HandMade("w1", "w2")
    actors.replies["w1"] = HttpReply(201, JSON, b'{"name": "grin"}')
    config = ServerConfig(allow_uploads=True, max_body_bytes=10, max_upload_bytes=1 << 20)
    async with before(actors, config) as http:
        assert (await http.post("/api/v1/attributes?name=grin", content=b"x" * 100)).status_code == 201
        assert (FLEET, "hand_on", ("grin", "w1")) in actors.asked
        actors.faults[FLEET, "hand_on"] = Unreachable("")
        assert (await http.post("/api/v1/attributes", content=b"x")).status_code == 201, "the others get it later"
        actors.replies["w1"] = HttpReply(409, JSON, b'{"error": {"code": "name_taken"}}')
        assert (await http.post("/api/v1/attributes", content=b"x")).status_code == 409
        large = await http.post("/api/v1/attributes", content=bytes((1 << 20) + 1))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "file_too_large")
    assert [name for name, _ in actors.requests()] == ["w1"] * 3


async def test_keys_and_limits_are_kept_for_the_cluster_as_a_whole() -> None:
    actors = HandMade("w1", "w2")
    config = ServerConfig(api_keys=("secret",), requests_per_minute=2, max_body_bytes=100)
    async with before(actors, config) as http:
        assert (await http.get("/api/v1/sessions")).status_code == 401
        assert (await http.get("/api/v1/workers")).status_code == 401
        http.headers["Authorization"] = "Bearer secret"
        assert (await http.post("/api/v1/sessions/w1.x/close", content=b"x" * 101)).status_code == 413
        statuses = [(await http.get(f"/api/v1/sessions/w{i}.x")).status_code for i in (1, 2, 1)]
    assert statuses == [200, 429, 429]


async def test_what_a_session_left_is_for_its_own_key() -> None:
    actors, left = HandMade("w1"), SessionCheckpoint({"smile": 0.5}, b"state", name_of("ann"))
    actors.faults["w9", "give_up"] = Gone("")
    actors.kept["w1", "find_kept"] = (5.0, left)
    actors.replies["w1"] = HttpReply(201, JSON, b"{}")
    config = ServerConfig(api_keys=("ann", "bob"))
    async with before(actors, config) as http:
        for key in ("bob", "ann"):
            headers = {"Authorization": f"Bearer {key}"}
            await http.post("/api/v1/sessions", json={"resume_token": "w9.t"}, headers=headers)
    assert actors.requests() == [("w1", (Opening(7, "w9.t", kept),)) for kept in (None, left)]
    assert [one[0] for one in actors.asked if one[1] == "forget"] == ["w1"]


@pytest.mark.parametrize("path", ["/api/v1/sessions/fleet.x", "/whip/fleet.x", "/whep/fleet.x"])
async def test_who_places_the_sessions_has_none(path: str) -> None:
    actors = HandMade("w1")
    async with before(actors) as http:
        for method in ("GET", "DELETE", "POST"):
            answer = await http.request(method, path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_session")
        await http.post("/api/v1/sessions", json={"resume_token": "fleet.t"})
    assert not [one for one in actors.asked if one[0] == FLEET and one[1] in ("request", "give_up")]


async def test_uploads_are_bounded_before_they_are_read() -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        begun.release()
        await go_on.wait()

    actors = HandMade("w1")
    actors.replies["w1"] = HttpReply(409, JSON, b"{}")
    async with before(actors, ServerConfig(allow_uploads=True)) as http:
        coming = [asyncio.create_task(http.post("/api/v1/attributes", content=slow())) for _ in range(MOST_AT_ONCE)]
        for _ in coming:
            await begun.acquire()
        busy = await http.post("/api/v1/attributes", content=b"x")
        assert (busy.status_code, busy.json()["error"]["code"]) == (503, "busy")
        go_on.set()
        assert [(await one).status_code for one in coming] == [409] * MOST_AT_ONCE


LARGE = {"bytes": "a" * 65_536, "media lines": "m=video\n" * 17, "candidates": "a=candidate:1\n" * 101}


@pytest.mark.parametrize("what", LARGE)
async def test_offers_are_bounded_before_a_place_is_looked_for(what: str) -> None:
    actors, offer = HandMade("w1"), "v=0\n" + LARGE[what]
    async with before(actors) as http:
        said = {"sdp": offer, "type": "offer", "resume_token": "w1.t"}
        answers = [await http.post(path, json=said) for path in ("/api/v1/sessions", "/offer")]
        answers.append(await http.post("/whip", content=offer))
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_sdp")
        assert what in answer.json()["error"]["message"]
    assert not actors.asked


async def test_a_body_that_does_not_come_is_answered() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    actors = HandMade("w1")
    async with before(actors, ServerConfig(body_seconds=0.05)) as http:
        for path in ("/api/v1/sessions", "/whip", "/whip/w1.x"):
            assert_error(await http.post(path, content=never()), 408, "too_slow")
    assert not actors.asked
