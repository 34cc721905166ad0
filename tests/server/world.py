"""A tiny world for the server: pictures that carry their number and time, a stream that paints, and a viewer."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeVar

import cv2
import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from fastapi import FastAPI

from aiortc_fixes import bound_receiver
from rigid.arrays import Pixels
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.stream.face_stream import StepResult
from server.app import create_app
from server.config import ServerConfig
from server.webrtc.peer import MakePeer
from tests.patience import PATIENCE_SECONDS, until
from tests.server.wire import WireChannel, WireConnection, WirePeer
from tests.staged import Staged

WIDTH, HEIGHT = 320, 240
SQUARE = 16
"""As codecs' blocks are, and in step with them: they leave out what changes a corner of a block only."""
PER_ROW = 18
INDEX_BITS, TIME_BITS, CHECK_BITS = 16, 32, 16
CLOCK = Fraction(1, 90000)


def attribute(name: str) -> Attribute:
    direction = np.ones((2, 4), np.float32)
    return Attribute(name, name.title(), "Face", -1.0, 1.0, 0.0, "", "made by hand", direction)


LIBRARY = AttributeLibrary([attribute("smile"), attribute("age")], n_codes=2, code_size=4)


def draw_barcode(index: int, milliseconds: int) -> Pixels:
    """A grey picture with a number, a time and their checksum in squares that survive a video codec."""
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    value = index | (milliseconds & (2**TIME_BITS - 1)) << INDEX_BITS
    value |= _checksum(value) << INDEX_BITS + TIME_BITS
    for bit in range(INDEX_BITS + TIME_BITS + CHECK_BITS):
        top, left = _place(bit)
        picture[top : top + SQUARE, left : left + SQUARE] = 235 if value >> bit & 1 else 16
    return picture


def draw_blotches(number: int) -> Pixels:
    """Soft blotches, others for each number: they take as many bits as a codec is given."""
    small = np.random.default_rng(number).integers(40, 216, (30, 40, 3), np.uint8)
    return np.asarray(cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def read_barcode(picture: Pixels) -> tuple[int, int]:
    """The number and the time, ms, of a picture; Spoiled where a codec has left too little of them."""
    value = 0
    for bit in range(INDEX_BITS + TIME_BITS + CHECK_BITS):
        top, left = _place(bit)
        value |= int(picture[top + 4 : top + 12, left + 4 : left + 12].mean() > 128) << bit
    told, value = value >> INDEX_BITS + TIME_BITS, value & (2 ** (INDEX_BITS + TIME_BITS) - 1)
    if told != _checksum(value):
        raise Spoiled
    return value & (2**INDEX_BITS - 1), value >> INDEX_BITS


class Spoiled(ValueError):
    """A barcode that is not as it was drawn."""


def _checksum(value: int) -> int:
    return zlib.crc32(value.to_bytes(8, "big")) & ((1 << CHECK_BITS) - 1)


def _place(bit: int) -> tuple[int, int]:
    return SQUARE * (1 + bit // PER_ROW), SQUARE * (1 + bit % PER_ROW)


def paint_strength(picture: Pixels, strength: float) -> Pixels:
    """Show a strength of -1 to 1 as the grey of the lowest strip."""
    painted = picture.copy()
    painted[-60:] = round(128 + 100 * strength)
    return painted


def read_strength(picture: Pixels) -> float:
    return (float(picture[-40:-10].mean()) - 128) / 100


@dataclass(frozen=True)
class PaintedResult(StepResult):
    face: bool = True
    edited: bool = True
    stage_ms: dict[str, float] = field(default_factory=lambda: {"align": 1.0, "invert": 2.0})


class PaintingStream(Staged):
    """Paints the strength of `smile`; takes `delay` seconds; raises on the numbers in `failing`."""

    def __init__(self, delay: float = 0.0, failing: Callable[[int], bool] = lambda number: False) -> None:
        self.delay = delay
        self.failing = failing
        self.cadence, self.inverted_after = 1, 0.0
        self.steps = 0
        self.closed = 0
        self.reanchored = 0
        self.restored: list[bytes] = []
        self.times: list[float] = []
        self.strengths: list[float] = []
        self.called_at: list[float] = []
        self.threads: set[int] = set()

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> PaintedResult:
        assert not self.closed
        self.threads.add(threading.get_ident())
        self.steps += 1
        self.called_at.append(time.monotonic())
        self.times.append(timestamp)
        self.strengths.append(edits.get("smile", 0.0))
        time.sleep(self.delay)
        if self.failing(self.steps):
            raise RuntimeError("the engine lost its device")
        return PaintedResult(paint_strength(frame, edits.get("smile", 0.0)))

    def reanchor(self) -> None:
        self.reanchored += 1

    def save(self) -> bytes:
        assert not self.closed
        return b"%d steps" % self.steps

    def restore(self, data: bytes) -> None:
        self.restored.append(data)

    def close(self) -> None:
        self.closed += 1


class Camera(MediaStreamTrack):
    """Sends barcodes at `fps`, from when the first is asked for; a picture's time is that of its making, ms of the
    monotonic clock. Pictures that a busy machine had no turn for are never made: none come in a rush behind it."""

    kind = "video"

    def __init__(self, fps: float = 15.0) -> None:
        super().__init__()
        self.made = 0
        """Pictures."""
        self._fps = fps
        self._going = asyncio.Event()
        self._going.set()
        self._began = self._due = 0.0

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        await self._going.wait()
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if not self.made:
            self._began = self._due = now
        self._due = max(self._due + 1 / self._fps, now)
        frame = VideoFrame.from_ndarray(draw_barcode(self.made, int(now * 1000)), format="rgb24")
        frame.pts, frame.time_base = int((now - self._began) * 90000), CLOCK
        self.made += 1
        return frame

    def mute(self, *, muted: bool = True) -> None:
        """Send nothing meanwhile."""
        if muted:
            self._going.clear()
        else:
            self._going.set()

    def stop(self) -> None:
        super().stop()
        self._going.set()


class Microphone(MediaStreamTrack):
    """Silence in frames of 20 ms, with a loud second half of each second, timed by the monotonic clock; from when the
    first is asked for."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._began = 0.0
        self._count = 0

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if not self._count:
            self._began = time.monotonic()
        due = self._began + self._count * 0.02
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tone = 12000 * np.sin(np.arange(960) * 0.1) if is_loud(due) else np.zeros(960)
        frame = AudioFrame.from_ndarray(tone.astype(np.int16)[None], layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self._count * 960, Fraction(1, 48000)
        self._count += 1
        return frame


def is_loud(monotonic_seconds: float) -> bool:
    return monotonic_seconds % 1.0 >= 0.5


@dataclass(frozen=True)
class Seen:
    """One picture that came back."""

    index: int
    age: float
    """Seconds from its making to here."""
    strength: float
    seconds: float
    """The time it is shown at, from its pts."""
    made: float
    """The time of its making on the camera's clock, seconds."""
    behind: int
    """Pictures that the camera had made since."""


class Viewer:
    """The other end, with a camera, a control channel, and all that came back; its connection needs no network."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        fps: float = 60.0,
        microphone: bool = False,
        peer: RTCPeerConnection | None = None,
    ) -> None:
        self.http = http
        self.peer: RTCPeerConnection | WireConnection = peer or WireConnection()
        self.seen: list[Seen] = []
        self.spoiled: list[float] = []
        """The times, seconds, of pictures whose barcode could not be read."""
        self.sounds: list[tuple[float, bool]] = []
        self.messages: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.session: dict[str, Any] = {}
        self.channel: RTCDataChannel | WireChannel = self.peer.createDataChannel("control")
        self.channel.on("message", self._heard)
        self.camera = Camera(fps)
        self.peer.addTrack(self.camera)
        if microphone:
            self.peer.addTrack(Microphone())
        self.peer.on("track", self._show)
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, **body: object) -> httpx.Response:
        """Open a session; the answer is applied where there is one."""
        response = await self.ask(**body)
        if response.status_code == 201:
            await self.accept()
        return response

    async def ask(self, **body: object) -> httpx.Response:
        """Ask for a session; nothing flows before its answer is accepted."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        local = self.peer.localDescription
        response = await self.http.post("/api/v1/sessions", json={"sdp": local.sdp, "type": local.type, **body})
        if response.status_code == 201:
            self.session = response.json()
        return response

    async def accept(self) -> None:
        """Apply the answer: from here on the connection comes about."""
        await self.peer.setRemoteDescription(RTCSessionDescription(self.session["sdp"], self.session["type"]))

    @property
    def server(self) -> WirePeer | None:
        """The server's end, once there is one that needs no network."""
        return self.peer.server if isinstance(self.peer, WireConnection) else None

    @property
    def url(self) -> str:
        return f"/api/v1/sessions/{self.session['id']}"

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for something to be so; fails the test when it does not come about."""
        await until(condition, seconds)

    async def see(self, count: int) -> list[Seen]:
        """Wait for `count` more pictures."""
        before = len(self.seen)
        await self.until(lambda: len(self.seen) >= before + count)
        return self.seen[before:]

    async def set(self, identity: str, edits: Mapping[str, object], ramp_ms: float | None = None) -> dict[str, Any]:
        """Send edits over the channel; the answer to them."""
        await self.until(lambda: self.channel.readyState == "open")
        message = {"type": "set", "id": identity, "edits": edits}
        self.channel.send(json.dumps(message if ramp_ms is None else {**message, "ramp_ms": ramp_ms}))
        await self.until(lambda: any(one.get("id") == identity for one in self.said("ack")))
        return next(one for one in self.said("ack") if one["id"] == identity)

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.messages if one["type"] == kind]

    async def close(self) -> None:
        await self.peer.close()
        for task in self._tasks:  # a track that never began never ends
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _heard(self, text: str) -> None:
        if text.startswith("{"):
            self.messages.append(json.loads(text))
        else:
            self.texts.append(text)

    def _show(self, track: MediaStreamTrack) -> None:
        # As a browser does: a picture is shown with its last packet, not with the next picture's first.
        if isinstance(self.peer, RTCPeerConnection):
            bound_receiver(self.peer, track)
        self._tasks.append(asyncio.create_task(self._watch(track) if track.kind == "video" else self._listen(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        while (frame := await _next(track)) is not None:
            assert isinstance(frame, VideoFrame) and frame.pts is not None
            picture = frame.to_ndarray(format="rgb24").astype(np.uint8)
            try:
                index, made = read_barcode(picture)
            except Spoiled:
                self.spoiled.append(frame.pts / 90000)
                continue
            age = ((int(time.monotonic() * 1000) - made) % 2**TIME_BITS) / 1000
            behind = self.camera.made - 1 - index
            self.seen.append(Seen(index, age, read_strength(picture), frame.pts / 90000, made / 1000, behind))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while (frame := await _next(track)) is not None:
            assert isinstance(frame, AudioFrame)
            self.sounds.append((time.monotonic(), bool(np.abs(frame.to_ndarray().astype(int)).mean() > 1000)))


class RealViewer(Viewer):
    """The same as an aiortc peer, for a server of `running(make_peer=Peer)`."""

    peer: RTCPeerConnection

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        fps: float = 15.0,
        microphone: bool = False,
        ice: RTCConfiguration | None = None,
    ) -> None:
        peer = RTCPeerConnection(ice or RTCConfiguration(iceServers=[]))
        super().__init__(http, fps=fps, microphone=microphone, peer=peer)


async def _next(track: MediaStreamTrack) -> object:
    try:
        return await track.recv()
    except MediaStreamError:
        return None


class Lag:
    """How late this machine runs what is due now, at worst: what no program in it can make up for.

    What is due goes from thread to thread as a picture does, which is encoded, decoded and edited on its way, and waits
    for the processor each time.
    """

    HANDS = 12

    def __init__(self) -> None:
        self.worst = 0.0
        self._pool = ThreadPoolExecutor(1, "lag")
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = time.monotonic() + 0.02
            await asyncio.sleep(0.02)
            for _ in range(self.HANDS):
                await loop.run_in_executor(self._pool, time.monotonic)
            self.worst = max(self.worst, time.monotonic() - due)

    def stop(self) -> float:
        self._task.cancel()
        self._pool.shutdown(wait=False)
        return self.worst


class MovableClock:
    """The monotonic clock, which a test puts forward: what takes an hour is seen at once."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def forward(self, seconds: float) -> None:
        self._ahead += seconds


@dataclass
class World:
    """A running server and what it made."""

    app: FastAPI
    http: httpx.AsyncClient
    streams: list[PaintingStream]

    async def ready(self) -> None:
        await until(self._is_ready)

    async def _is_ready(self) -> bool:
        return (await self.http.get("/readyz")).status_code == 200

    @asynccontextmanager
    async def viewer(self, *, fps: float = 60.0, microphone: bool = False, **body: object) -> AsyncIterator[Viewer]:
        """A viewer that is connected and sees pictures."""
        async with seeing(Viewer(self.http, fps=fps, microphone=microphone), body) as viewer:
            yield viewer

    @asynccontextmanager
    async def real_viewer(self, *, microphone: bool = False, **body: object) -> AsyncIterator[RealViewer]:
        """The same over the network, where the server is `running(make_peer=Peer)`."""
        async with seeing(RealViewer(self.http, microphone=microphone), body) as viewer:
            yield viewer


OneViewer = TypeVar("OneViewer", bound=Viewer)


@asynccontextmanager
async def seeing(viewer: OneViewer, body: Mapping[str, object]) -> AsyncIterator[OneViewer]:
    """Have a viewer connected until it is left."""
    try:
        response = await viewer.connect(**body)
        assert response.status_code == 201, response.text
        await viewer.see(1)
        yield viewer
    finally:
        await viewer.close()


@asynccontextmanager
async def running(
    config: ServerConfig | None = None,
    make_stream: Callable[[], PaintingStream] = PaintingStream,
    warm_up: Callable[[], None] = lambda: None,
    library: AttributeLibrary = LIBRARY,
    make_peer: MakePeer = WirePeer,
    min_fps: float = 0.0,
    tick_seconds: float = 0.2,
    **offered: Any,
) -> AsyncIterator[World]:
    """A server in this process, without a socket for HTTP; `offered` goes to `create_app`.

    Between its sessions and their viewers is no network, unless `make_peer` is `Peer`. Without `min_fps` it refuses
    nobody because this machine has more to do than it can. Sessions are looked after five times as often as usual.
    """
    streams: list[PaintingStream] = []

    def make() -> PaintingStream:
        streams.append(make_stream())
        return streams[-1]

    # The words would lie on what is painted.
    config = replace(config or ServerConfig(connect_seconds=PATIENCE_SECONDS), badge=False, min_fps=min_fps)
    offered |= {"warm_up": warm_up, "make_peer": make_peer, "tick_seconds": tick_seconds}
    app = create_app(config, make, library, **offered)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
            yield World(app, http, streams)
