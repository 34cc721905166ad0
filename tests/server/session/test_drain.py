"""Signals to the program, once with the real networks: sessions may end first, unless it is asked twice."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from client import rigid_live
from client.python.http import LiveError
from tests.patience import PATIENCE_SECONDS, eventually
from tests.program import light_program, program

DRAIN_SECONDS = 300
OPTIONS = ("--engine", "openvino", "--drain-seconds", str(DRAIN_SECONDS))
GREY = np.full((240, 320, 3), 128, np.uint8)


@pytest.mark.slow
def test_a_server_asked_to_end_lets_its_session_finish_and_ends_with_status_0(tmp_path: Path) -> None:
    with program(tmp_path / "serve.log", *OPTIONS) as server:
        with rigid_live.Client(server.address, smile=1.0) as first:
            assert first.process(GREY).shape == GREY.shape
        with rigid_live.Client(server.address) as second:
            second.process(GREY)
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: server.status() == 503, "draining")
            assert httpx.get(f"{server.address}/readyz", timeout=PATIENCE_SECONDS).json()["error"]["code"] == "draining"
            assert httpx.get(f"{server.address}/healthz", timeout=PATIENCE_SECONDS).status_code == 200
            with pytest.raises(LiveError, match="about to end"), rigid_live.Client(server.address):
                pass
            assert second.process(GREY).shape == GREY.shape, "it goes on meanwhile"
            assert server.process.poll() is None
        left = time.monotonic()
        assert server.process.wait(PATIENCE_SECONDS) == 0, server.log.read_text()
        assert time.monotonic() - left < DRAIN_SECONDS / 2, "nobody was left to wait for"
    assert f"1 session has {DRAIN_SECONDS} s to end" in server.log.read_text()


@pytest.mark.slow
def test_ctrl_c_while_sessions_may_end_ends_at_once_and_the_client_is_told(tmp_path: Path) -> None:
    with (
        light_program(tmp_path / "serve.log", DRAIN_SECONDS) as server,
        rigid_live.Client(server.address, reconnect=False) as live,
    ):
        live.process(GREY)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: server.status() == 503, "draining")
        assert server.process.poll() is None, "its session may end first"
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE_SECONDS) == 0, server.log.read_text()
        with pytest.raises(LiveError, match="The server was shut down"):
            while True:  # a picture that was on its way comes first
                live.receive(timeout=PATIENCE_SECONDS)
