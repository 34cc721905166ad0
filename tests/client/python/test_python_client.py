"""The Python client against a real server over HTTP and UDP, whose edits need no networks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import av
import httpx
import numpy as np
import pytest

from cli.main import run
from client import rigid_live
from client.python.devices import FIRST_RETRY, STALE_SECONDS, SessionKeeper, VirtualCamera, parse_size, show_live
from client.python.http import LiveError
from client.python.sync import Client
from rigid.arrays import Pixels
from rigid.files.credentials import own_credentials
from rigid.files.provenance_reading import Provenance, read
from tests.client.fakes import light_app
from tests.client.serving import serving
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from tests.server.world import HEIGHT, WIDTH, draw_barcode, read_barcode

pytestmark = pytest.mark.slow

TONE_SECONDS = 1.0


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that lights pictures up with `smile`."""
    with serving(light_app(4)) as url:
        yield url


def test_every_picture_comes_back_as_itself_edited(address: str) -> None:
    with rigid_live.Client(address, badge=False, age=0.5) as live:
        for index in range(6):
            assert read_barcode(live.process(draw_barcode(index, 7)))[0] == index
        dark = live.process(draw_barcode(6, 7))
        assert live.set(smile=1.0, ramp_ms=0)["ok"]
        light = live.process(draw_barcode(7, 7))
        assert dark.shape == light.shape == (HEIGHT, WIDTH, 3) and light.dtype == np.uint8
        assert light.mean() > dark.mean() + 40
        assert live.session_id is not None
        with pytest.raises(LiveError, match="wings"):
            live.set(wings=1.0)


def test_one_face_is_changed_by_its_number(address: str) -> None:
    with rigid_live.Client(address, badge=False, smile=0.0) as live:
        live.process(draw_barcode(0, 7))
        assert live.set(face=1, smile=1.0, ramp_ms=0)["ok"]
        state = httpx.get(f"{address}/api/v1/sessions/{live.session_id}", timeout=PATIENCE_SECONDS).json()
        assert (state["edits"], state["faces"]) == ({"smile": 0.0}, {"1": {"smile": 1.0}})
        assert live.faces() == [], "this server's stream sees none"
        with pytest.raises(LiveError, match="There is no face 9; there are: 1"):
            live.set(face=9, smile=1.0)


def test_async_the_newest_picture_wins(address: str) -> None:
    async def use() -> None:
        async with rigid_live.AsyncClient(address, badge=False, smile=1.0) as live:
            live.send(draw_barcode(1, 0))
            lit = await live.receive()
            assert lit.mean() > draw_barcode(1, 0).mean() + 40
            assert read_barcode(await live.process(draw_barcode(9, 0)))[0] == 9
        with pytest.raises(LiveError, match="closed here"):
            await live.receive()

    # in a thread of its own: the browser of other tests keeps an event loop running in this one
    with ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, use()).result()


def test_what_goes_wrong_is_said(address: str) -> None:
    with pytest.raises(LiveError, match="cannot be reached"), rigid_live.Client(f"http://localhost:{free_port()}"):
        pass
    with pytest.raises(LiveError, match="wings"), rigid_live.Client(address, wings=1.0):
        pass
    with rigid_live.Client(address) as live, pytest.raises(ValueError, match="uint8"):
        live.process(cast(Pixels, np.zeros((4, 4), np.float32)))


def write_clip(path: Path, frames: int) -> None:
    """Barcodes at ten a second, with a tone."""
    with av.open(str(path), "w") as output:
        film = output.add_stream("libx264", rate=10, options={"crf": "10"})
        film.width, film.height, film.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = output.add_stream("aac", rate=48_000, layout="mono")
        for index in range(frames):
            output.mux(film.encode(av.VideoFrame.from_ndarray(draw_barcode(index, 0), format="rgb24")))
        output.mux(film.encode())
        tone = (8_000 * np.sin(np.arange(int(48_000 * TONE_SECONDS)) * 0.05)).astype(np.int16)
        for begin in range(0, len(tone), 1_024):
            piece = av.AudioFrame.from_ndarray(tone[None, begin : begin + 1_024], layout="mono")
            piece.sample_rate, piece.pts = 48_000, begin
            output.mux(sound.encode(piece))
        output.mux(sound.encode())


def test_a_file_goes_through_whole_with_its_sound(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_clip(source, 10)
    arguments = ["client", "file", str(source), str(target), "--server", address, "--set", "age=1", "--no-badge"]
    assert run(arguments) == 0
    assert "10 frames" in capsys.readouterr().out
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
        assert [read_barcode(frame.to_ndarray(format="rgb24").astype(np.uint8))[0] for frame in frames] == list(
            range(10)
        )
        assert [round(float(frame.time or 0), 2) for frame in frames] == [round(0.1 * index, 2) for index in range(10)]
    with av.open(str(target)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 48_000 * TONE_SECONDS
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_commands_say_what_is_wrong(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing, target = str(tmp_path / "none.mp4"), str(tmp_path / "out.mp4")
    assert run(["client", "file", nothing, target, "--server", address]) == 2
    assert run(["client", "file", nothing, target, "--server", f"http://localhost:{free_port()}"]) == 1
    assert run(["client", "webcam", "--camera", "97"]) == 2
    assert run(["client", "webcam", "--size", "huge"]) == 2
    said = capsys.readouterr().err
    for words in ("none.mp4 cannot be read", "cannot be reached", "tells of no camera", "'huge' is no size"):
        assert words in said


def test_sizes_are_read() -> None:
    assert parse_size("1280x720") == (1280, 720)
    for text in ("12", "0x480", "640x-1", "1e9x4"):
        with pytest.raises(ValueError, match="no size"):
            parse_size(text)


class Away:
    """A server that comes and goes: gives back what it was sent, lit, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.silent = False
        self.opened = 0
        self.closed = 0
        self._sent: list[Pixels] = []

    def __enter__(self) -> Away:
        self.opened += 1
        if self.away:
            raise LiveError("The server cannot be reached.")
        return self

    def send(self, picture: Pixels) -> None:
        self._sent.append(picture)

    def newest(self) -> Pixels | None:
        if self.away:
            raise LiveError("The connection to the server was lost.")
        return None if self.silent else self._sent[-1] + np.uint8(100)

    def close(self) -> None:
        self.closed += 1


def test_the_camera_itself_is_shown_while_the_server_is_away() -> None:
    now = 0.0
    server = Away()
    keeper = SessionKeeper(lambda: cast(Client, server), lambda: now)
    picture = np.full((4, 4, 3), 50, np.uint8)

    def light() -> int:
        return int(keeper.through(picture)[0, 0, 0])

    assert light() == 150
    server.silent = True
    now = STALE_SECONDS - 0.1
    assert light() == 150
    now = STALE_SECONDS + 0.1
    assert light() == 50
    server.silent, server.away = False, True
    assert light() == 50 and server.closed == 1
    assert light() == 50 and server.opened == 1
    server.away = False
    now += FIRST_RETRY + 0.01
    assert light() == 150 and server.opened == 2


def test_pictures_are_shown_until_nobody_wants_more() -> None:
    class Screen:
        def __init__(self) -> None:
            self.shown = 0
            self.is_open = True

        def show(self, picture: Pixels) -> bool:
            self.shown += 1
            return self.shown < 3

        def close(self) -> None:
            self.is_open = False

    screen, server = Screen(), Away()
    pictures = iter([np.zeros((4, 4, 3), np.uint8)] * 9)
    assert show_live(pictures, SessionKeeper(lambda: cast(Client, server)), screen) == 3
    assert not screen.is_open and server.closed == 1


def test_a_machine_without_a_virtual_camera_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyvirtualcam", None)
    with pytest.raises(ValueError, match="virtualcam"):
        VirtualCamera(640, 480, 30)


def test_an_edited_snapshot_says_so_and_a_plain_one_does_not(tmp_path: Path) -> None:
    with serving(light_app(credentials=own_credentials(tmp_path))) as url, rigid_live.Client(url) as live:
        live.process(draw_barcode(1, 0))
        assert snapshot(url, live, tmp_path / "plain.jpg") is None
        live.set(smile=0.5, ramp_ms=0)
        live.process(draw_barcode(2, 0))
        told = snapshot(url, live, tmp_path / "edited.jpg")
        assert told is not None and told.intact and told.edited_with_ai and told.edits == {"smile": 0.5}


def snapshot(url: str, live: Client, path: Path) -> Provenance | None:
    answer = httpx.get(
        f"{url}/api/v1/sessions/{live.session_id}/snapshot.jpg", timeout=PATIENCE_SECONDS
    ).raise_for_status()
    path.write_bytes(answer.content)
    return read(path)
