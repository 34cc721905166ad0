"""Listening, and a real server on a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import threading
from pathlib import Path

import httpx
import pytest

from server.app import create_app
from server.config import ServerConfig
from server.listen import listen, urls
from server.run import run
from server.tls import self_signed
from tests.patience import PATIENCE_SECONDS, eventually
from tests.server.world import LIBRARY, PaintingStream


def test_a_port_in_use_is_one_sentence() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ValueError, match=rf"The port {port} on 127.0.0.1 is in use; .*--port\.$"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("192.0.2.77", 0, "no address of this machine"),
        ("no such host", 0, "is not known"),
        ("127.0.0.1", 70000, "does not exist"),
    ],
)
def test_where_nobody_can_listen(host: str, port: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        listen(host, port)


def test_urls() -> None:
    assert urls("127.0.0.1", 8080, secure=False) == ["http://127.0.0.1:8080"]
    assert urls("::1", 8443, secure=True) == ["https://[::1]:8443"]
    everywhere = urls("0.0.0.0", 80, secure=False)
    assert everywhere[:2] == ["http://localhost:80", f"http://{socket.gethostname()}:80"]


def test_https_and_the_end_on_a_signal(tmp_path: Path) -> None:
    app = create_app(ServerConfig(), PaintingStream, LIBRARY)
    listener = listen("127.0.0.1", 0)
    files = self_signed(tmp_path)
    answers: list[int] = []

    def visit() -> None:
        context = ssl.create_default_context(cafile=str(files.certificate))
        address = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(verify=context, base_url=address, timeout=PATIENCE_SECONDS) as http:
            answers.append(http.get("/healthz").status_code)
            eventually(lambda: http.get("/readyz").status_code == 200, "readiness")
        os.kill(os.getpid(), signal.SIGINT)

    visitor = threading.Thread(target=visit)
    visitor.start()
    run(app, listener, files)
    visitor.join()
    assert answers == [200]
    assert not any(thread.name.startswith("inference") for thread in threading.enumerate())


def test_what_waits_when_the_server_ends_is_told_so_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(ServerConfig(), PaintingStream, LIBRARY)
    listener = listen("127.0.0.1", 0)
    answers: list[httpx.Response] = []

    @app.get("/for-ever")
    async def wait() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    def visit() -> None:
        answers.append(httpx.get(f"http://127.0.0.1:{listener.getsockname()[1]}/for-ever", timeout=PATIENCE_SECONDS))

    visitor = threading.Thread(target=visit)
    visitor.start()
    run(app, listener, None, grace_seconds=0)
    visitor.join()
    (answer,) = answers
    assert answer.status_code == 503 and answer.json()["error"]["message"] == "The server has ended."
    assert not [record for record in caplog.records if record.exc_info]
