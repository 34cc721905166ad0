"""The HTTP interface without media: what is asked wrongly, and what is told."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from server.app import create_app
from server.config import ServerConfig
from server.ice_servers import IceServer
from server.webrtc.peer import Peer
from tests.patience import PATIENCE_SECONDS, until
from tests.server.world import LIBRARY, Camera, PaintingStream, World, running

JSON = {"Content-Type": "application/json"}


async def offer_of(kind: str = "video", direction: str = "sendrecv") -> str:
    """A real offer's SDP, of a peer that is gone again."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver(kind, direction)
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    return sdp


def assert_error(response: httpx.Response, status: int, code: str) -> None:
    """The one shape of all failures: a code, one sentence and a hint."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert re.fullmatch(r"\S.*\.", error["message"])
    assert set(error) == {"code", "message", "hint"}


async def test_what_is_not_there_and_what_is_asked_in_the_wrong_way() -> None:
    async with running() as world:
        http = world.http
        assert_error(await http.get("/nowhere"), 404, "not_found")
        assert_error(await http.post("/api/v1/nothing"), 404, "not_found")
        refused = await http.get("/api/v1/sessions/x/edits")
        assert_error(refused, 405, "method_not_allowed")
        assert refused.headers["Allow"] == "PATCH"
        assert_error(await http.put("/healthz"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/stats"),
        ("GET", "/snapshot.jpg"),
        ("DELETE", ""),
        ("POST", "/close"),
        ("POST", "/reanchor"),
    ],
)
async def test_an_unknown_session_is_not_found(method: str, path: str) -> None:
    async with running() as world:
        assert_error(await world.http.request(method, f"/api/v1/sessions/gone{path}"), 404, "unknown_session")


async def test_edits_of_an_unknown_session() -> None:
    async with running() as world:
        answer = await world.http.patch("/api/v1/sessions/gone/edits", json={"edits": {}})
        assert_error(answer, 404, "unknown_session")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{not json", 400, "bad_json"),
        (b"", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b'{"sdp": 5, "type": "offer"}', 422, "invalid_request"),
        (b'{"type": "offer"}', 422, "invalid_request"),
        (b'{"sdp": "nonsense", "type": "offer"}', 400, "bad_sdp"),
        (b'{"sdp": "v=0\\r\\nm=video x y z\\r\\n", "type": "offer"}', 400, "bad_sdp"),
        (b'{"sdp": "", "type": "offer"}', 400, "bad_sdp"),
        (b'{"sdp": "v=0\\r\\n", "type": "offer"}', 400, "no_video"),
        (b'{"sdp": "", "type": "answer"}', 400, "bad_sdp"),
        (b'{"sdp": "", "type": "offer", "edits": {"grin": 1}}', 422, "bad_edit"),
        (b'{"sdp": "", "type": "offer", "edits": {"smile": NaN}}', 422, "bad_edit"),
        (b'{"sdp": "", "type": "offer", "edits": {"smile": 3}}', 422, "bad_edit"),
        (b'{"sdp": "", "type": "offer", "options": {"colour": "red"}}', 422, "invalid_request"),
        (b'{"sdp": "", "type": "offer", "options": {"ramp_ms": NaN}}', 422, "invalid_request"),
        (b'{"sdp": "", "type": "offer", "options": {"ramp_ms": -1}}', 422, "invalid_request"),
        (b"\xff\xfe", 400, "bad_json"),
        (b"[" * 100_000, 400, "bad_json"),
        (b" " * 300_000, 413, "body_too_large"),
    ],
)
async def test_a_bad_request_for_a_session(body: bytes, status: int, code: str) -> None:
    async with running() as world:
        await world.ready()
        assert_error(await world.http.post("/api/v1/sessions", content=body, headers=JSON), status, code)
        assert (await world.http.get("/api/v1/sessions")).json() == []
    assert [stream.closed for stream in world.streams] == []


async def test_a_body_without_a_length_is_limited_too() -> None:
    async def chunks() -> object:
        for _ in range(10):
            yield b" " * 40_000

    async with running() as world:
        await world.ready()
        answer = await world.http.post("/api/v1/sessions", content=chunks(), headers=JSON)  # type: ignore[arg-type]
        assert_error(answer, 413, "body_too_large")


async def test_another_kind_of_body() -> None:
    async with running() as world:
        await world.ready()
        answer = await world.http.post("/api/v1/sessions", content=b"sdp=v0", headers={"Content-Type": "text/plain"})
        assert_error(answer, 415, "unsupported_media_type")


async def test_offers_that_hold_no_usable_video() -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        for sdp, code in (
            (await offer_of("audio"), "no_video"),
            (await offer_of("video", "recvonly"), "no_video"),
            (re.sub(r"a=rtpmap:(\d+) \w+/90000", r"a=rtpmap:\1 AV9/90000", await offer_of()), "no_common_codec"),
            (re.sub(r"a=ice-ufrag.*\r\n", "", await offer_of()), "bad_sdp"),
            (re.sub(r"a=fingerprint.*\r\n", "", await offer_of()), "bad_sdp"),
            (re.sub(r"a=rtcp-mux\r\n", "", await offer_of()), "bad_sdp"),
            ((await offer_of())[:400], "bad_sdp"),
        ):
            assert_error(await world.http.post("/api/v1/sessions", json={"sdp": sdp, "type": "offer"}), 400, code)
        assert (await world.http.get("/api/v1/sessions")).json() == []
        await until(lambda: all(stream.closed for stream in world.streams))


async def test_what_is_on_offer() -> None:
    config = ServerConfig(ice_servers=(IceServer("stun:s:1"), IceServer("turn:t:2", "ann", "secret")))
    async with running(config) as world:
        described = [{**one, "strip": None} for one in LIBRARY.describe()]
        assert (await world.http.get("/api/v1/attributes")).json() == described
        assert (await world.http.get("/api/v1/ice-servers")).json() == {
            "ice_servers": [
                {"urls": ["stun:s:1"]},
                {"urls": ["turn:t:2"], "username": "ann", "credential": "secret"},
            ]
        }
        told = (await world.http.get("/version")).json()
        assert told["profile"] == "mobile-256"
        assert set(told) == {"version", "profile", "engine", "aiortc", "python", "recordings"}


async def test_no_ice_server_unless_asked() -> None:
    async with running() as world:
        assert (await world.http.get("/api/v1/ice-servers")).json() == {"ice_servers": []}


async def test_not_ready_until_warm() -> None:
    warm = threading.Event()

    def wait() -> None:
        warm.wait(PATIENCE_SECONDS)

    async with running(warm_up=wait) as world:
        assert (await world.http.get("/healthz")).json() == {"status": "ok"}
        waiting = await world.http.get("/readyz")
        assert_error(waiting, 503, "not_ready")
        assert waiting.headers["Retry-After"] == "2"
        offer = {"sdp": await offer_of(), "type": "offer"}
        assert_error(await world.http.post("/api/v1/sessions", json=offer), 503, "not_ready")
        assert "rigid_live_batch_sessions_count 0.0" in (await world.http.get("/metrics")).text
        assert "rigid_live_ready 0.0" in (await world.http.get("/metrics")).text
        warm.set()
        await world.ready()
        assert "rigid_live_ready 1.0" in (await world.http.get("/metrics")).text


async def has_begun(world: World) -> bool:
    code: str = (await world.http.get("/readyz")).json()["error"]["code"]
    return code != "not_ready"


async def test_an_engine_that_does_not_start_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        raise RuntimeError("no device")

    async with running(warm_up=fails) as world:
        await until(lambda: has_begun(world))
        answer = await world.http.get("/readyz")
        assert_error(answer, 503, "engine_failed")
        assert "no device" in answer.json()["error"]["message"]


async def test_a_fault_of_the_server_is_told_without_its_details(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> PaintingStream:
        raise RuntimeError("secret path")

    async with running(make_stream=broken) as world:
        await world.ready()
        for _ in range(5):  # more than there are places: a failure gives its own back
            answer = await world.http.post("/api/v1/sessions", json={"sdp": await offer_of(), "type": "offer"})
            assert_error(answer, 500, "internal_error")
            assert "secret" not in answer.text


async def test_a_key_guards_the_interface_but_not_the_page_and_the_probes() -> None:
    async with running(ServerConfig(api_keys=("open", "sesame"))) as world:
        await world.ready()
        for path in ("/api/v1/sessions", "/api/v1/attributes", "/metrics"):
            refused = await world.http.get(path)
            assert_error(refused, 401, "unauthorized")
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            for header in ("Bearer wrong", "sesame", "Bearer sesam\N{LATIN SMALL LETTER E WITH ACUTE}"):
                answer = await world.http.get(path, headers={b"Authorization": header.encode()})
                assert answer.status_code == 401
            assert (await world.http.get(path, headers={"Authorization": "Bearer sesame"})).status_code == 200
        assert_error(await world.http.post("/offer", json={}), 401, "unauthorized")
        for path in ("/", "/healthz", "/readyz", "/version"):
            assert (await world.http.get(path)).status_code == 200


async def test_security_headers_and_no_foreign_origins() -> None:
    async with running() as world:
        for path in ("/", "/healthz", "/nowhere", "/api/v1/attributes"):
            answer = await world.http.get(path, headers={"Origin": "https://elsewhere.example"})
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert "camera=(self)" in answer.headers["Permissions-Policy"]
            assert "Access-Control-Allow-Origin" not in answer.headers
        preflight = await world.http.options("/api/v1/sessions", headers={"Origin": "https://elsewhere.example"})
        assert preflight.status_code == 405


async def test_the_page_is_served_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>Hello</h1>")
    (tmp_path / "app.js").write_text("export {}")
    (tmp_path / "secret.py").write_text("x = 1")
    app = create_app(ServerConfig(), PaintingStream, LIBRARY, page=tmp_path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://server") as http:
        page = await http.get("/")
        assert (page.text, page.headers["Content-Type"]) == ("<h1>Hello</h1>", "text/html; charset=utf-8")
        script = await http.get("/app.js")
        assert script.headers["Content-Type"].startswith("text/javascript")
        for path in ("/secret.py", "/../secret.py", "/%2e%2e/etc/passwd", "/__init__.py"):
            assert (await http.get(path)).status_code == 404


async def test_the_openapi_description_names_every_route() -> None:
    async with running() as world:
        paths = (await world.http.get("/openapi.json")).json()["paths"]
    assert {"/api/v1/sessions", "/api/v1/sessions/{identity}/edits", "/offer", "/metrics"} <= set(paths)
    assert json.dumps(paths)


async def test_offer_works_as_in_the_example_of_aiortc() -> None:
    async with running() as world:
        await world.ready()
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTrack(Camera())
        await peer.setLocalDescription(await peer.createOffer())
        body = {"sdp": peer.localDescription.sdp, "type": "offer", "video_transform": "none"}
        answer = (await world.http.post("/offer", json=body)).json()
        await peer.close()
        sessions = (await world.http.get("/api/v1/sessions")).json()
    assert answer["type"] == "answer"
    assert "m=video" in answer["sdp"]
    assert [one["id"] for one in sessions] == [answer["session_id"]]
