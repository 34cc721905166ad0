"""Whom a server answers: requests for its own names, and pages of its own."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from server.config import ServerConfig
from server.tls import CertificateFiles, names_for, own_names, self_signed
from tests.server.http.test_api import assert_error
from tests.server.world import running

KNOWN = ("localhost", "localhost:8080", "LOCALHOST.", "127.0.0.1:8080", "[::1]:8080", "app.localhost")
STRANGE = (
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example",
    "localhost.evil.x",
    "192.0.2.7",
    "",
    "[",
)


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/sessions", "/api/v1/sessions/x/snapshot.jpg"])
async def test_a_name_that_is_not_the_servers_is_not_answered(path: str) -> None:
    async with running() as world:
        for host in STRANGE:
            assert_error(await world.http.get(path, headers={"Host": host}), 421, "unknown_host")
        for host in KNOWN:
            assert (await world.http.get(path, headers={"Host": host})).status_code in (200, 404), host


async def test_the_address_that_a_request_came_to_is_known_and_no_name_for_it() -> None:
    async with running() as world:
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://[fd00:0::7]:8080") as http:
            assert (await http.get("/healthz", headers={"Host": "[FD00::7]:8080"})).status_code == 200
            assert_error(await http.get("/healthz", headers={"Host": "[fd00::8]:8080"}), 421, "unknown_host")
            assert_error(await http.get("/healthz", headers={"Host": "faces.example"}), 421, "unknown_host")


async def test_further_names_may_be_allowed() -> None:
    async with running(
        ServerConfig(allow_hosts=("faces.example", "*.team.example", "192.0.2.7", "FD00:0::9"))
    ) as world:
        for host in ("faces.example", "Faces.Example:443", "a.team.example", "192.0.2.7:8080", "[fd00::9]"):
            assert (await world.http.get("/healthz", headers={"Host": host})).status_code == 200, host
        for host in ("a.faces.example", "team.example", "a.b.team.example", "192.0.2.70"):
            assert_error(await world.http.get("/healthz", headers={"Host": host}), 421, "unknown_host")
    async with running(ServerConfig(allow_hosts=("*",))) as world:
        assert (await world.http.get("/healthz", headers={"Host": "any.example"})).status_code == 200


@pytest.mark.parametrize(
    "host", ["http://a.example", "a.example:80", "a*.example", "*.", "**", "*.*.example", "", "[::1]"]
)
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        ServerConfig(allow_hosts=(host,))


def test_a_server_is_called_by_its_address_and_its_certificates_names(tmp_path: Path) -> None:
    assert names_for("192.0.2.7", None) == ["192.0.2.7"]
    assert set(own_names()) <= set(names_for("0.0.0.0", None))
    files = self_signed(tmp_path, ["faces.example", "*.faces.example"])
    names = names_for("192.0.2.7", files)
    assert {"192.0.2.7", "faces.example", "*.faces.example"} <= set(names)
    ServerConfig(allow_hosts=tuple(names))
    assert CertificateFiles(tmp_path / "certificate.pem", tmp_path / "key.pem") == files


CHANGING = [
    ("POST", "/api/v1/sessions"),
    ("POST", "/offer"),
    ("POST", "/whip"),
    ("POST", "/whep/x"),
    ("PATCH", "/api/v1/sessions/x/edits"),
    ("DELETE", "/api/v1/sessions/x"),
    ("PUT", "/api/v1/presets/x"),
    ("POST", "/api/v1/attributes"),
]


@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_a_foreign_page_changes_nothing(method: str, path: str) -> None:
    async with running() as world:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://server.evil.example"},
            {"Origin": "http://server", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "http://server:81", "Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            assert_error(await world.http.request(method, path, headers=headers), 403, "foreign_origin")
        for headers in (
            {},
            {"Origin": "http://server"},
            # a proxy in front has another name, and the encryption
            {"Origin": "https://faces.example", "Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
        ):
            answer = await world.http.request(method, path, headers=headers)
            assert answer.status_code != 403 or answer.json()["error"]["code"] == "uploads_off", headers


async def test_a_foreign_page_may_look_but_not_read_and_an_allowed_one_may_change() -> None:
    async with running(ServerConfig(allow_origins=("https://shop.example",))) as world:
        seen = await world.http.get("/api/v1/attributes", headers={"Origin": "https://evil.example"})
        assert seen.status_code == 200 and "Access-Control-Allow-Origin" not in seen.headers
        shop = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
        assert (await world.http.post("/api/v1/sessions", json={}, headers=shop)).status_code == 422
        other = {"Origin": "https://shop.example.evil.example", "Sec-Fetch-Site": "cross-site"}
        assert_error(await world.http.post("/api/v1/sessions", json={}, headers=other), 403, "foreign_origin")
