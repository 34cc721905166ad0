"""SIGTERM to the real program, with the real networks: it lets a session end first, and then it ends well itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from client import rigid_live
from client.connection import LiveError
from tests.client.serving import free_port

START_SECONDS = 400.0
"""The first start exports the networks."""
DRAIN_SECONDS = 60
PATIENCE_SECONDS = 60.0
GREY = np.full((240, 320, 3), 128, np.uint8)


def eventually(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


@contextmanager
def serve(log: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """The program with OpenVINO, once it is ready."""
    port = free_port()
    command = [sys.executable, "-m", "cli.main", "serve", "--port", str(port), "--engine", "openvino"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--drain-seconds", str(DRAIN_SECONDS)], stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            eventually(lambda: process.poll() is not None or status(http) == 200, log.name, START_SECONDS)
            assert process.poll() is None, log.read_text()
            yield process, http
    finally:
        process.kill()
        process.wait()


def status(http: httpx.Client) -> int:
    try:
        return http.get("/readyz").status_code
    except httpx.HTTPError:
        return 0


@pytest.mark.slow
def test_a_server_asked_to_end_lets_its_session_finish_and_ends_with_status_0(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    with serve(log) as (process, http):
        url = str(http.base_url)
        with rigid_live.Client(url, smile=1.0) as first:
            assert first.process(GREY).shape == GREY.shape
        with rigid_live.Client(url) as second:
            second.process(GREY)
            process.send_signal(signal.SIGTERM)
            eventually(lambda: status(http) == 503, "draining")
            assert http.get("/readyz").json()["error"]["code"] == "draining"
            assert http.get("/healthz").status_code == 200
            with pytest.raises(LiveError, match="about to end"), rigid_live.Client(url):
                pass
            assert second.process(GREY).shape == GREY.shape, "it goes on meanwhile"
            assert process.poll() is None
        left = time.monotonic()
        assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()
        assert time.monotonic() - left < DRAIN_SECONDS / 2, "nobody was left to wait for"
    assert "1 session has 60 s to end" in log.read_text()
