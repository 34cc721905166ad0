"""WHIP clients that others wrote: each a program of its own, which tells in JSON how it came to be connected."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.patience import PATIENCE_SECONDS, eventually

KEY = "sesame"


@dataclass
class Outsider:
    """Such a client while its session runs."""

    process: subprocess.Popen[str]
    http: httpx.Client
    """The server's API, with the client's key."""
    told: dict[str, Any]
    """The line that it printed."""
    session: dict[str, Any]
    """Its session, as the API described it at its begin."""

    @property
    def address(self) -> str:
        return f"/api/v1/sessions/{self.session['id']}"

    def numbers(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(f"{self.address}/stats").json()
        return answer

    def wait_for_pictures(self, count: int) -> None:
        """Until so many edited ones have gone out."""
        eventually(lambda: self.numbers()["frames_out"] >= count, "edited pictures")

    def leave(self) -> None:
        """Its input ends, and with it its session."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_SECONDS) == 0
        assert self.http.get("/api/v1/sessions").json() == [], "it ended its session"


@contextmanager
def outsider(url: str, *command: str) -> Iterator[Outsider]:
    """Run `command` with the server's WHIP endpoint, which lets `smile` act, and the key; once it is connected."""
    client = subprocess.Popen(
        [*command, f"{url}/whip?smile=1", KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdin is not None and client.stdout is not None
    http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=PATIENCE_SECONDS)
    try:
        told = _told(client)
        assert (told["status"], told["state"]) == (201, "connected")
        (session,) = http.get("/api/v1/sessions").json()
        yield Outsider(client, http, told, session)
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()
        http.close()


def _told(client: subprocess.Popen[str]) -> dict[str, Any]:
    assert client.stdout is not None
    # A client that never connects must not hold the test up.
    watchdog = threading.Timer(PATIENCE_SECONDS, client.kill)
    watchdog.start()
    line = client.stdout.readline()
    watchdog.cancel()
    assert line, "it ended without being connected"
    told: dict[str, Any] = json.loads(line)
    return told
