"""The Python client when its connection breaks, or its session ends."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import httpx
import pytest
from aiortc import RTCPeerConnection

from aiortc_fixes.nacks import RepeatingNackGenerator
from aiortc_fixes.privates import RECEIVER
from client import rigid_live
from client.python.http import LiveError
from server.app import create_app
from server.config import ServerConfig
from server.session.manager import SessionManager
from tests.client.fakes import LightStream, attributes, light_app
from tests.client.serving import serving
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from tests.server.world import MovableClock, draw_barcode, read_barcode

pytestmark = pytest.mark.slow


class CountingStream(LightStream):
    """Remembers how often it was saved and restored."""

    saved = 0
    restored = 0

    def save(self) -> bytes:
        CountingStream.saved += 1
        return b"a face"

    def restore(self, data: bytes) -> None:
        assert data == b"a face"
        CountingStream.restored += 1


class Peer(RTCPeerConnection):
    """A client's end of a connection; the newest is known."""

    newest: Peer

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        Peer.newest, self.loop = self, asyncio.get_running_loop()


@pytest.fixture(autouse=True)
def known_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.python.link.RTCPeerConnection", Peer)


def break_off() -> None:
    """Close the client's peer without a word to the server, as a network that is gone would."""
    asyncio.run_coroutine_threadsafe(Peer.newest.close(), Peer.newest.loop).result()


def test_a_connection_that_breaks_is_gone_on_with_in_its_session() -> None:
    CountingStream.saved = CountingStream.restored = 0
    with serving(create_app(ServerConfig(), CountingStream, attributes())) as url:
        with rigid_live.Client(url, badge=False) as live:
            live.set(smile=1.0, ramp_ms=0)
            light = live.process(draw_barcode(1, 0)).mean()
            before = live.session_id
            break_off()
            again = live.process(draw_barcode(2, 0))
            assert live.resumed == 1 and live.session_id not in (None, before)
            assert abs(again.mean() - light) < 15, "with its edits"
            assert live.set(smile=0.0, ramp_ms=0)["ok"]
            dark = live.process(draw_barcode(3, 0))
            assert read_barcode(dark)[0] == 3 and dark.mean() < light - 40
            assert CountingStream.restored == 1, "with what its stream remembered"
            assert [one["id"] for one in httpx.get(f"{url}/api/v1/sessions", timeout=PATIENCE_SECONDS).json()] == [
                live.session_id
            ]
        assert httpx.get(f"{url}/api/v1/sessions", timeout=PATIENCE_SECONDS).json() == []


def test_a_session_that_was_moved_is_gone_on_with_once_there_is_room() -> None:
    CountingStream.saved = CountingStream.restored = 0
    app = create_app(ServerConfig(), CountingStream, attributes())
    manager: SessionManager = app.state.manager
    with serving(app) as url, rigid_live.Client(url, badge=False, smile=1.0) as live:
        light = live.process(draw_barcode(1, 0)).mean()
        (session,), before = list(manager.sessions), live.session_id
        assert asyncio.run_coroutine_threadsafe(manager.move_out(), session._path._loop).result(PATIENCE_SECONDS) == 1
        # As if another worker took it.
        manager.admission.draining = False
        assert abs(live.process(draw_barcode(2, 0)).mean() - light) < 15, "with its edits"
        assert live.resumed == 1 and live.session_id not in (None, before)
        assert (CountingStream.saved, CountingStream.restored) == (1, 1), "with what its stream remembered"


def test_a_server_that_starts_again_is_waited_for() -> None:
    port = free_port()
    with serving(light_app(), port) as url:
        live = rigid_live.Client(url, badge=False, smile=1.0)
        live.__enter__()
        light = live.process(draw_barcode(1, 0)).mean()
    with serving(light_app(), port):
        assert abs(live.process(draw_barcode(2, 0)).mean() - light) < 15
        assert live.resumed == 0, "it remembers nothing"
        live.close()


def test_without_reconnection_a_break_is_said() -> None:
    with serving(light_app()) as url, rigid_live.Client(url, reconnect=False) as live:
        live.process(draw_barcode(1, 0))
        break_off()
        with pytest.raises(LiveError, match="was lost"):
            live.process(draw_barcode(2, 0))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (ServerConfig(idle_seconds=500.0), "No video came for too long"),
        (ServerConfig(max_session_seconds=500.0), "It reached the server's time limit"),
        (ServerConfig(), "It was closed over the API"),
    ],
)
def test_why_a_session_ended_is_said_in_words(config: ServerConfig, said: str) -> None:
    clock = MovableClock()
    with (
        serving(create_app(config, LightStream, attributes(), clock=clock)) as url,
        rigid_live.Client(url) as live,
    ):
        live.process(draw_barcode(1, 0))
        if config == ServerConfig():
            httpx.delete(f"{url}/api/v1/sessions/{live.session_id}", timeout=PATIENCE_SECONDS).raise_for_status()
        assert said in end_of(live, clock)
        with pytest.raises(LiveError, match=said):
            live.process(draw_barcode(2, 0))
        text = httpx.get(f"{url}/metrics", timeout=PATIENCE_SECONDS).text
        assert "\nrigid_live_sessions_opened_total 1.0\n" in text, "it is not opened again"


def end_of(live: rigid_live.Client, clock: MovableClock) -> str:
    """Why a session ends for which ten minutes pass in each second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert time.monotonic() < deadline
        clock.forward(600.0)
        try:
            live.receive(timeout=1.0)  # a picture that was sent twice comes back twice
        except LiveError as error:
            if live.session_id is None:
                return str(error)


def test_a_closed_client_opens_nothing_again() -> None:
    with serving(light_app()) as url:
        with rigid_live.Client(url) as live:
            live.process(draw_barcode(1, 0))
            break_off()
        assert not [thread for thread in threading.enumerate() if thread.name == "rigid-live client"]
        # What broke off is the server's to notice; nothing else may be there.
        assert len(httpx.get(f"{url}/api/v1/sessions", timeout=PATIENCE_SECONDS).json()) <= 1


def test_its_receiver_asks_again_for_what_is_lost_twice() -> None:
    with serving(light_app()) as url, rigid_live.Client(url) as live:
        live.process(draw_barcode(1, 0))
        (receiver,) = (one for one in Peer.newest.getReceivers() if one.track and one.track.kind == "video")
        assert isinstance(getattr(receiver, f"{RECEIVER}nack_generator"), RepeatingNackGenerator)
