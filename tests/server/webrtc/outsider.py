"""WHIP clients that others wrote: each a program of its own, which tells in JSON how it came to be connected."""

from __future__ import annotations

import json
import math
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import av
import httpx
import numpy as np
from av import AudioFrame, VideoFrame
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
        answer = self.http.get(f"{self.address}/stats")
        assert answer.status_code == 200, answer.text
        return cast(dict[str, Any], answer.json())

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


STEADY = 40
"""Half a second's pictures and sounds, none of which came quicker than those before: no rush is left of the begin."""


class Flow:
    """How late a client's pictures and sounds come, against the quickest of each."""

    def __init__(self) -> None:
        self._quickest: dict[str, float] = {}
        self._late: dict[str, float] = {}
        self._steady = 0

    def note(self, kind: str, frame: AudioFrame | VideoFrame) -> None:
        """Note that one came."""
        assert frame.time is not None
        way = time.monotonic() - frame.time
        quickest = self._quickest.get(kind, math.inf)
        self._steady = 0 if way < quickest - 0.01 else self._steady + 1
        self._quickest[kind] = min(way, quickest)
        self._late[kind] = way - self._quickest[kind]

    def is_steady(self) -> bool:
        """Whether both come, and not in a rush."""
        return len(self._late) == 2 and self._steady >= STEADY

    def late(self) -> float:
        """Seconds, of both together: so much of a film may have pictures alone, or sounds alone."""
        return sum(self._late.values())


class Noting:
    """What happens at a peer, passed on; its pictures and sounds are noted."""

    def __init__(self, events: PeerEvents, flow: Flow) -> None:
        self._events, self._flow = events, flow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    def on_picture(self, frame: VideoFrame) -> None:
        self._flow.note("picture", frame)
        self._events.on_picture(frame)

    def on_sound(self, frame: AudioFrame) -> None:
        self._flow.note("sound", frame)
        self._events.on_sound(frame)


def noting(flow: Flow) -> MakePeer:
    """Makes peers of which `flow` is noted."""
    return lambda config, events, *others: Peer(config, cast(PeerEvents, Noting(events, flow)), *others)


FILM_SECONDS = 1.5


@dataclass(frozen=True)
class Film:
    """What a recording of such a client's session holds."""

    light: float
    """Of its last picture, the mean."""
    loudness: float
    """Of the sound's loudest quarter of a second, the mean amplitude; full scale is 32,767."""
    last: NDArray[np.uint8]
    """Its last picture, RGB (H, W, 3)."""


def filmed(folder: Path, *command: str, sending: Sending = lambda told: nullcontext()) -> Film:
    """The recording in `folder` of a client that sends for a moment, is edited and leaves."""
    config, flow = ServerConfig(api_keys=(KEY,), recordings=folder, badge=False), Flow()
    # The session does not end because this machine has more to do than it can.
    config = replace(config, connect_seconds=PATIENCE_SECONDS, dead_seconds=PATIENCE_SECONDS)
    app = create_app(config, LightStream, attributes(), make_peer=noting(flow))
    with serving(app) as url, outsider(url, *command) as client:
        with sending(client.told):
            client.wait_for_pictures(10)
            eventually(flow.is_steady, "sound, and none of it in a rush")
            client.http.post(f"{client.address}/recording").raise_for_status()
            eventually(lambda: client.numbers()["recording"]["seconds"] >= FILM_SECONDS + flow.late(), "a film")
            kept = client.http.delete(f"{client.address}/recording").json()
        assert client.numbers()["frames_failed"] == 0
        client.leave()
    return _read(folder / kept["file"])


def _read(path: Path) -> Film:
    with av.open(str(path)) as container:
        pictures = [one.to_ndarray(format="rgb24").astype(np.uint8) for one in container.decode(video=0)]
    with av.open(str(path)) as container:
        sounds = np.abs(np.concatenate([one.to_ndarray()[0] for one in container.decode(audio=0)]))
    parts = np.array_split(sounds, max(1, round(len(sounds) / 12_000)))
    return Film(float(pictures[-1].mean()), 32767 * max(float(one.mean()) for one in parts), pictures[-1])
