"""One connection to a server: its peer, its control channel, and the session behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from typing import Any, Protocol

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from aiortc_fixes import bound_receiver, install, set_bitrates
from client.python.http import Api, LiveError
from client.python.shapes import Picture

CONNECT_SECONDS = 20.0
ACK_SECONDS = 5.0
SILENT_SECONDS = 10.0
"""The server speaks each second."""
START_BITRATE, MIN_BITRATE, MAX_BITRATE = 3_000_000, 1_000_000, 8_000_000

LOST = "The connection to the server was lost."


class LinkEvents(Protocol):
    """What happens on a link; all called on the event loop."""

    def on_picture(self, link: Link, ticks: int, picture: Picture) -> None:
        """A picture came, with its time in ticks of 1/90000 s."""

    def on_numbers(self, stats: dict[str, Any]) -> None:
        """The server told its numbers of the session."""

    def on_lost(self, link: Link, reason: str, wanted: bool) -> None:
        """It ended; `wanted`: somebody meant it to."""


class SentTrack(MediaStreamTrack):
    """The pictures on their way to the server; of several that wait only the newest goes."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._newest: VideoFrame | None = None
        self._changed = asyncio.Event()

    def push(self, frame: VideoFrame) -> None:
        """Offer a picture in place of one not yet sent."""
        self._newest = frame
        self._changed.set()

    async def recv(self) -> VideoFrame:
        """The next picture; MediaStreamError after `stop`."""
        await self._changed.wait()
        self._changed.clear()
        if self.readyState != "live" or self._newest is None:
            raise MediaStreamError
        frame, self._newest = self._newest, None
        return frame

    def stop(self) -> None:
        super().stop()
        self._newest = None
        self._changed.set()


class Link:
    """Opened once, and of no use any more once it is lost or closed."""

    def __init__(self, api: Api, events: LinkEvents) -> None:
        self.session: dict[str, Any] = {}
        """The server's answer to the offer."""
        self.track = SentTrack()
        self._api = api
        self._events = events
        self._peer: RTCPeerConnection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._settled = asyncio.Event()
        self._lost: str | None = None
        self._heard_at = time.monotonic()

    async def open(self, body: dict[str, Any]) -> None:
        """Ask for a session, and wait until video can flow. LiveError where that cannot be."""
        install()
        set_bitrates(START_BITRATE, MIN_BITRATE, MAX_BITRATE)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=await self._api.ice_servers()))
        self._channel = self._peer.createDataChannel("control")
        self._channel.on("message", self._on_message)
        self._peer.addTrack(self.track)
        self._peer.on("track", self._watch)
        self._peer.on("connectionstatechange", self._on_state_change)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        local = self._peer.localDescription
        self.session = await self._api.request(
            "POST", "api/v1/sessions", {"sdp": local.sdp, "type": local.type, **body}
        )
        await self._peer.setRemoteDescription(RTCSessionDescription(self.session["sdp"], self.session["type"]))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), CONNECT_SECONDS)
        if self._peer.connectionState != "connected":
            raise LiveError(self._lost or "No video connection came about; a firewall may block UDP.")
        self._heard_at = time.monotonic()
        self._begin(self._listen())

    async def set(self, body: dict[str, Any]) -> dict[str, Any]:
        """Change edits; the acknowledgement. LiveError where the server declines or does not answer."""
        if self._peer is None or self._channel.readyState != "open":
            return dict(await self._api.request("PATCH", f"api/v1/sessions/{self.session['id']}/edits", body))
        identity = uuid.uuid4().hex
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[identity] = answer
        self._channel.send(json.dumps({"type": "set", "id": identity, **body}))
        try:
            said = await asyncio.wait_for(answer, ACK_SECONDS)
        except TimeoutError:
            raise LiveError("The server did not acknowledge the edits.") from None
        finally:
            del self._pending[identity]
        if not said.get("ok"):
            raise LiveError(said.get("error", {}).get("message", "The server declined the edits."), 422)
        return said

    async def close(self, *, end: bool) -> None:
        """Free everything; `end`: the session at the server too. Safe to call twice."""
        self._lost = self._lost or LOST
        if end and self.session:
            with contextlib.suppress(LiveError):
                await self._api.request("DELETE", f"api/v1/sessions/{self.session['id']}")
        self.track.stop()
        if self._peer is not None:
            self._peer.remove_all_listeners()
            await self._peer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- what happens at the peer

    def _watch(self, track: MediaStreamTrack) -> None:
        assert self._peer is not None
        bound_receiver(self._peer, track)
        if track.kind == "video":
            self._begin(self._read(track))

    def _begin(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame) and frame.pts is not None:
                    picture = await asyncio.to_thread(frame.to_ndarray, format="rgb24")
                    self._heard_at = time.monotonic()
                    self._events.on_picture(self, frame.pts, picture.astype(np.uint8, copy=False))

    async def _listen(self) -> None:
        """Notice a server that says nothing any more."""
        while self._lost is None:
            await asyncio.sleep(1.0)
            if time.monotonic() - self._heard_at > SILENT_SECONDS:
                self._lose("Nothing came from the server any more.", wanted=False)

    def _on_message(self, text: str) -> None:
        self._heard_at = time.monotonic()
        message = json.loads(text) if text.startswith("{") else {}
        kind, answer = message.get("type"), self._pending.get(message.get("id", ""))
        if kind == "stats":
            self._events.on_numbers(message)
        elif kind == "session_ended":
            words = f"The server ended the session. {message.get('message', '')}".rstrip()
            self._lose(words, wanted=not message.get("come_back", False))
        elif kind in ("ack", "error") and answer is not None and not answer.done():
            answer.set_result(message)

    def _on_state_change(self) -> None:
        assert self._peer is not None
        if self._peer.connectionState in ("failed", "closed"):
            self._lose(LOST, wanted=False)
        elif self._peer.connectionState == "connected":
            self._settled.set()

    def _lose(self, reason: str, *, wanted: bool) -> None:
        if self._lost is None:
            self._lost = reason
            self._settled.set()
            self._events.on_lost(self, reason, wanted)
