"""One session at a server, seen from Python."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import uuid
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from numpy.typing import NDArray

from server.aiortc_fixes import bound_receiver, install, set_bitrates

Picture = NDArray[np.uint8]

CLOCK = Fraction(1, 90_000)
"""Of video over RTP (RFC 3551 section 5)."""
FRAME_TICKS = 3_000
NEAR_TICKS = 600
"""A picture that comes back so close to the time of one sent is that one."""
AGAIN_TICKS = 90
AGAIN_SECONDS = 3.0
"""A picture that did not come back is sent again: packets get lost, and a busy server leaves pictures out."""
PROCESS_SECONDS = 30.0
CONNECT_SECONDS = 20.0
ACK_SECONDS = 5.0
START_BITRATE, MIN_BITRATE, MAX_BITRATE = 3_000_000, 1_000_000, 8_000_000


class LiveError(Exception):
    """The server declined, or the connection to it ended; one sentence."""


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


class AsyncClient:
    """A session at the server at `server`; use it with `async with`.

    `edits`: {attribute: strength} as keywords. `key`: what the server was given as --api-key. `verify`: False accepts
    a self-signed certificate; a path names the certificate to trust. `badge`: whether edited pictures say that they
    are. Pictures are RGB uint8 (H, W, 3). LiveError: the server declined, cannot be reached, or ended the session.
    """

    def __init__(
        self, server: str, *, key: str | None = None, verify: bool | str = True, badge: bool = True, **edits: float
    ) -> None:
        self.session_id: str | None = None
        self.stats: dict[str, Any] = {}
        """The server's newest numbers of this session."""
        trust: bool | ssl.SSLContext = verify if isinstance(verify, bool) else ssl.create_default_context(cafile=verify)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        base = server if "://" in server else f"http://{server}"
        self._http = httpx.AsyncClient(base_url=base.rstrip("/") + "/", headers=headers, verify=trust, timeout=20)
        self._edits = edits
        self._options = {"badge": badge}
        self._peer: RTCPeerConnection | None = None
        self._channel: RTCDataChannel | None = None
        self._track = SentTrack()
        self._reader: asyncio.Task[None] | None = None
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._received: tuple[int, Picture] | None = None
        self._came = asyncio.Condition()
        self._ended: str | None = None
        self._ticks = -FRAME_TICKS
        self._offset: int | None = None
        """What the server's times lack to ours; known with the first picture back."""

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open the session. LiveError where that cannot be."""
        install()
        set_bitrates(START_BITRATE, MIN_BITRATE, MAX_BITRATE)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=await self._ice_servers()))
        self._channel = self._peer.createDataChannel("control")
        self._channel.on("message", self._heard)
        self._peer.addTrack(self._track)
        self._peer.on("track", self._watch)
        self._peer.on("connectionstatechange", self._state_changed)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        local = self._peer.localDescription
        body = {"sdp": local.sdp, "type": local.type, "edits": self._edits, "options": self._options}
        session = await self._request("POST", "api/v1/sessions", body)
        self.session_id = session["id"]
        await self._peer.setRemoteDescription(RTCSessionDescription(session["sdp"], session["type"]))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS), self._came:
                await self._came.wait_for(self._is_settled)
        if self._peer.connectionState != "connected":
            raise LiveError(self._ended or "No video connection came about; a firewall may block UDP.")

    async def close(self) -> None:
        """End the session; safe to call twice."""
        self._end("The session was closed here.")
        if self.session_id is not None:
            with contextlib.suppress(LiveError):
                await self._request("DELETE", f"api/v1/sessions/{self.session_id}")
            self.session_id = None
        self._track.stop()
        if self._peer is not None:
            await self._peer.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        await self._http.aclose()

    async def set(self, *, ramp_ms: float | None = None, **edits: float) -> dict[str, Any]:
        """Change some strengths; the acknowledgement, with `rev` and the first frame that uses them."""
        self._edits = {**self._edits, **edits}
        body = {"edits": edits, **({} if ramp_ms is None else {"ramp_ms": ramp_ms})}
        if self._channel is None or self._channel.readyState != "open":
            return dict(await self._request("PATCH", f"api/v1/sessions/{self.session_id}/edits", body))
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
            raise LiveError(said.get("error", {}).get("message", "The server declined the edits."))
        return said

    def send(self, frame: Picture, seconds: float | None = None) -> int:
        """Offer a picture, shown at `seconds`; the newest wins. Returns its time in ticks of 1/90000 s."""
        self._check(frame)
        self._ticks = max(self._ticks + AGAIN_TICKS, self._next_ticks(seconds))
        sent = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        sent.pts, sent.time_base = self._ticks, CLOCK
        self._track.push(sent)
        return self._ticks

    async def receive(self, timeout: float = PROCESS_SECONDS) -> Picture:
        """The newest picture from the server, once there is one that was not given out."""
        return (await self._next(timeout))[1]

    def newest(self) -> Picture | None:
        """The newest picture from the server that was not given out, without waiting; LiveError once it ended."""
        received, self._received = self._received, None
        if received is None and self._ended is not None:
            raise LiveError(self._ended)
        return None if received is None else received[1]

    async def process(self, frame: Picture, seconds: float | None = None, timeout: float = PROCESS_SECONDS) -> Picture:
        """This very picture, edited: it is sent, again where it got lost, and waited for."""
        first = self.send(frame, seconds)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(AGAIN_SECONDS):
                            return await self._back(first)
                    self.send(frame, self._ticks * float(CLOCK))
        except TimeoutError:
            raise LiveError(f"The server did not return a picture within {timeout:g} s.") from None

    async def _back(self, first: int) -> Picture:
        while True:
            ticks, picture = await self._next(None)
            if self._offset is None:
                self._offset = first - ticks
            if abs(ticks + self._offset - first) <= NEAR_TICKS:
                return picture

    async def _next(self, timeout: float | None) -> tuple[int, Picture]:
        try:
            async with asyncio.timeout(timeout), self._came:
                await self._came.wait_for(lambda: self._received is not None or self._ended is not None)
        except TimeoutError:
            raise LiveError(f"No picture came within {timeout:g} s.") from None
        if self._received is None:
            raise LiveError(self._ended or "The session ended.")
        received, self._received = self._received, None
        return received

    def _next_ticks(self, seconds: float | None) -> int:
        return self._ticks + FRAME_TICKS if seconds is None else round(seconds / CLOCK)

    def _check(self, frame: Picture) -> None:
        if self._ended is not None:
            raise LiveError(self._ended)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"A picture is RGB uint8 (H, W, 3), not {frame.dtype} {frame.shape}.")

    # ---- what happens at the peer

    def _watch(self, track: MediaStreamTrack) -> None:
        assert self._peer is not None
        bound_receiver(self._peer, track)
        if track.kind == "video":
            self._reader = asyncio.create_task(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame) and frame.pts is not None:
                    picture = await asyncio.to_thread(frame.to_ndarray, format="rgb24")
                    self._received = (frame.pts, picture.astype(np.uint8, copy=False))
                    await self._tell()

    def _heard(self, text: str) -> None:
        message = json.loads(text) if text.startswith("{") else {}
        kind, answer = message.get("type"), self._pending.get(message.get("id", ""))
        if kind == "stats":
            self.stats = message
        elif kind == "session_ended":
            self._end(f"The server ended the session: {str(message.get('reason', '')).replace('_', ' ')}.")
        elif kind in ("ack", "error") and answer is not None and not answer.done():
            answer.set_result(message)

    def _state_changed(self) -> None:
        state = None if self._peer is None else self._peer.connectionState
        if state in ("failed", "closed"):
            self._end("The connection to the server was lost.")
        else:
            self._told = asyncio.ensure_future(self._tell())

    def _is_settled(self) -> bool:
        return self._ended is not None or (self._peer is not None and self._peer.connectionState == "connected")

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = reason
            self._told = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        async with self._came:
            self._came.notify_all()

    # ---- HTTP

    async def _ice_servers(self) -> list[RTCIceServer]:
        answer = await self._request("GET", "api/v1/ice-servers")
        return [RTCIceServer(one["urls"], one.get("username"), one.get("credential")) for one in answer["ice_servers"]]

    async def _request(self, method: str, path: str, body: object = None) -> Any:
        try:
            response = await self._http.request(method, path, json=body)
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise LiveError(f"{self._http.base_url} cannot be reached: {error or type(error).__name__}.") from error
        if response.is_success:
            return response.json() if response.content else None
        raise LiveError(_objection(response))


def _objection(response: httpx.Response) -> str:
    try:
        said = response.json()["error"]
        return " ".join(filter(None, (said["message"], said.get("hint"))))
    except (ValueError, KeyError, TypeError):
        return f"The server answered {response.status_code}; is it a RIGID Live server?"
