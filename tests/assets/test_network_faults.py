"""Networks between this machine and the models: proxies, certificates of an organisation, and none at all."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rigid.assets.network_faults import explain, name_proxy
from rigid.assets.sources import Source
from rigid.assets.store import AssetError
from server.tls import self_signed
from tests.assets.test_store import CONTENT, asset_of, store_of, wheel
from tests.loopback import serving
from tests.ports import free_port

PYPI = Source("pypi", "carrier==1.0", "carrier/data")
VARIABLES = """HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
    PIP_CERT PIP_FIND_LINKS PIP_NO_INDEX PIP_EXTRA_INDEX_URL PIP_PROXY"""


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own way to networks."""
    for name in VARIABLES.split():
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")


class Refusing(BaseHTTPRequestHandler):
    """A proxy that asks for a password."""

    def do_GET(self) -> None:
        self.send_error(407)

    do_CONNECT = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Files(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def listening(handler: Callable[..., BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server with that handler, over TLS where there is a context."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_proxy_is_gone_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"http://models.invalid/weights.bin": CONTENT}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        store = store_of(tmp_path, asset_of(Source("url", "http://models.invalid")))
        assert store.file("thing", "weights.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("source", [Source("url", "https://models.invalid"), Source("url", "http://a.invalid"), PYPI])
def test_a_proxy_that_refuses_is_named_without_its_password(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
    with listening(Refusing) as port:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://me:secret@127.0.0.1:{port}")
        with pytest.raises(AssetError) as refused:
            store_of(tmp_path, asset_of(source)).ensure("thing")
    said = str(refused.value)
    assert f"the proxy 127.0.0.1:{port} refuses (407 Proxy Authentication Required)); give HTTPS_PROXY" in said
    assert "secret" not in said


def test_a_proxy_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    with pytest.raises(AssetError, match=rf"the proxy 127\.0\.0\.1:{port} cannot be reached\); check .* HTTPS_PROXY"):
        store_of(tmp_path, asset_of(PYPI)).ensure("thing")


def test_an_index_that_cannot_be_reached_is_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    with pytest.raises(AssetError, match=r"carrier==1\.0: no connection\); check the network connection and run this"):
        store_of(tmp_path, asset_of(PYPI)).ensure("thing")


@pytest.mark.parametrize("kind", ["url", "pypi"])
def test_an_organisations_certificate_is_trusted_once_it_is_named(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "simple" / "carrier"
    folder.mkdir(parents=True)
    wheel(folder, {"carrier/data/weights.bin": CONTENT})
    (folder / "weights.bin").write_bytes(CONTENT)
    (name,) = (path.name for path in folder.glob("*.whl"))
    (folder / "index.html").write_text(f"<a href={name}>{name}</a>", "utf-8")
    files = self_signed(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with listening(partial(Files, directory=str(tmp_path)), context) as port:
        address = f"https://localhost:{port}/simple"
        monkeypatch.setenv("PIP_INDEX_URL", address)
        asset = asset_of(Source("url", f"{address}/carrier") if kind == "url" else PYPI)
        with pytest.raises(AssetError, match=r"not trusted \(self.signed certificate\)\); where .* SSL_CERT_FILE name"):
            store_of(tmp_path, asset).ensure("thing")
        monkeypatch.setenv("SSL_CERT_FILE", str(files.certificate))
        assert store_of(tmp_path, asset).file("thing", "weights.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("told", "clause"),
    [
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN", "the certificate that the network shows is not trusted"),
        ("npm error request to the registry failed, reason: getaddrinfo ENOTFOUND a.invalid", "no connection"),
        ("HTTPSConnectionPool: Failed to resolve 'a' ([Errno 11001] getaddrinfo failed)", "no connection"),
        ("[Errno 8] nodename nor servname provided, or not known", "no connection"),
    ],
)
def test_what_other_programs_and_systems_say_is_understood(told: str, clause: str) -> None:
    fault = explain(told)
    assert fault is not None and fault.clause.startswith(clause)


def test_what_is_no_fault_of_the_network_is_none() -> None:
    assert explain("ERROR: No matching distribution found for carrier==1.0") is None


def test_proxies_are_named_as_they_are_set() -> None:
    assert name_proxy({"HTTPS_PROXY": "proxy.example:3128"}) == "proxy.example:3128"
    assert name_proxy({"http_proxy": "http://u:p@proxy.example:3128"}) == "proxy.example:3128"
    assert name_proxy({}) == "of this system"
