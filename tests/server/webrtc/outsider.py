"""WHIP clients that others wrote: each a program of its own, which tells in JSON how it came to be connected."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import av
import httpx
import numpy as np
from av import AudioFrame
from numpy.typing import NDArray

from server.app import create_app
from server.config import ServerConfig
from server.webrtc.peer import MakePeer, Peer, PeerEvents
from tests.client.fakes import LightStream, attributes
from tests.client.serving import serving
from tests.patience import HANGING_SECONDS, PATIENCE_SECONDS, eventually

KEY = "sesame"
Sending = Callable[[dict[str, Any]], AbstractContextManager[None]]
"""What feeds a client that has told where, as long as the block lasts."""


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
    watchdog = threading.Timer(HANGING_SECONDS, client.kill)
    watchdog.start()
    line = client.stdout.readline()
    watchdog.cancel()
    assert line, "it ended without being connected"
    told: dict[str, Any] = json.loads(line)
    return told


class Hearing:
    """What happens at a peer, passed on; notes that sound comes."""

    def __init__(self, events: PeerEvents, heard: threading.Event) -> None:
        self._events, self._heard = events, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    def on_sound(self, frame: AudioFrame) -> None:
        self._heard.set()
        self._events.on_sound(frame)


def hearing(heard: threading.Event) -> MakePeer:
    """Makes peers that note in `heard` that sound comes."""
    return lambda config, events, *others: Peer(config, cast(PeerEvents, Hearing(events, heard)), *others)


FILM_SECONDS = 1.5


@dataclass(frozen=True)
class Film:
    """What a recording of such a client's session holds."""

    light: float
    """Of its last picture, the mean."""
    loudness: float
    """Of the sound in its middle, the mean amplitude; full scale is 32,767."""
    last: NDArray[np.uint8]
    """Its last picture, RGB (H, W, 3)."""


def filmed(folder: Path, *command: str, sending: Sending = lambda told: nullcontext()) -> Film:
    """The recording in `folder` of a client that sends for a moment, is edited and leaves."""
    config, heard = ServerConfig(api_keys=(KEY,), recordings=folder, badge=False), threading.Event()
    # The session does not end because this machine has more to do than it can.
    config = replace(config, connect_seconds=PATIENCE_SECONDS, dead_seconds=PATIENCE_SECONDS)
    app = create_app(config, LightStream, attributes(), make_peer=hearing(heard))
    with serving(app) as url, outsider(url, *command) as client:
        with sending(client.told):
            client.wait_for_pictures(10)
            assert heard.wait(PATIENCE_SECONDS)
            client.http.post(f"{client.address}/recording").raise_for_status()
            eventually(lambda: client.numbers()["recording"]["seconds"] >= FILM_SECONDS, "a film")
            kept = client.http.delete(f"{client.address}/recording").json()
        assert client.numbers()["frames_failed"] == 0
        client.leave()
    return _read(folder / kept["file"])


def _read(path: Path) -> Film:
    with av.open(str(path)) as container:
        pictures = [one.to_ndarray(format="rgb24").astype(np.uint8) for one in container.decode(video=0)]
    with av.open(str(path)) as container:
        sounds = np.concatenate([one.to_ndarray()[0] for one in container.decode(audio=0)])
    middle = sounds[len(sounds) // 3 : 2 * len(sounds) // 3]
    return Film(float(pictures[-1].mean()), float(np.abs(middle).mean() * 32767), pictures[-1])
