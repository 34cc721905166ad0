"""The container's health check, against small servers of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from server.healthcheck import problem
from server.tls import self_signed
from tests.ports import free_port

ROOT = Path(__file__).parents[2]


class Health(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class Unwell(Health):
    status = 503


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[HTTPServer]:
    """Answers as `Health`, or as the class that the test names."""
    listener = HTTPServer(("127.0.0.1", 0), getattr(request, "param", Health))
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield listener
    listener.shutdown()
    thread.join()
    listener.server_close()


def settings(server: HTTPServer) -> dict[str, str]:
    return {"RIGID_LIVE_SERVE_PORT": str(server.server_port)}


def test_a_server_that_answers_is_healthy(server: HTTPServer) -> None:
    assert problem(settings(server)) is None


@pytest.mark.parametrize("server", [Unwell], indirect=True)
def test_another_status_is_told(server: HTTPServer) -> None:
    assert problem(settings(server)) == "/healthz answered with 503, not with 200."


def test_a_self_signed_certificate_is_accepted(server: HTTPServer, tmp_path: Path) -> None:
    import ssl

    files = self_signed(tmp_path, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    assert problem(settings(server) | {"RIGID_LIVE_SERVE_HTTPS": "1"}) is None


def test_the_command_says_what_is_wrong() -> None:
    environment = {"RIGID_LIVE_SERVE_PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "server.healthcheck"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("Nothing answers on port ") and done.stderr.count("\n") == 1


def test_a_port_that_is_none_is_told() -> None:
    assert "'eighty'" in (problem({"RIGID_LIVE_SERVE_PORT": "eighty"}) or "")
