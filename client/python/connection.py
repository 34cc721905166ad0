"""A session at a server, seen from Python, which outlives a connection that breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import numpy as np
from av import VideoFrame

from client.python.http import Api, LiveError
from client.python.link import Link
from client.python.shapes import Picture

logger = logging.getLogger(__name__)

CLOCK = Fraction(1, 90_000)
"""Of video over RTP (RFC 3551 section 5)."""
FRAME_TICKS = 3_000
NEAR_TICKS = 600
"""A picture that comes back so close to the time of one sent is that one."""
RESEND_TICKS = 90
RESEND_SECONDS = 3.0
"""A picture that did not come back is sent again: packets get lost, and a busy server leaves pictures out."""
PROCESS_SECONDS = 30.0
RECONNECT_SECONDS = 60.0
"""As long as a server keeps, by default, what a lost session had."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0


class AsyncClient:
    """A session at the server at `server`; use it with `async with`.

    `edits`: {attribute: strength} as keywords. `key`: what the server was given as --api-key. `verify`: False accepts
    a self-signed certificate; a path names the certificate to trust. `badge`: whether edited pictures say that they
    are. `reconnect`: a connection that breaks is opened again, for up to a minute, and the session goes on with its
    edits and all that its stream remembers; meanwhile no pictures come, and `process` and `receive` wait.
    Pictures are RGB uint8 (H, W, 3). LiveError: the server declined, cannot be reached, or ended the session.
    """

    def __init__(
        self,
        server: str,
        *,
        key: str | None = None,
        verify: bool | str = True,
        badge: bool = True,
        reconnect: bool = True,
        **edits: float,
    ) -> None:
        self.stats: dict[str, Any] = {}
        """The server's newest numbers of this session."""
        self.resumed = 0
        """How often the session went on after its connection broke, with what its stream remembers."""
        self._api = Api(server, key, verify)
        self._edits = edits
        self._options = {"badge": badge}
        self._wants_again = reconnect
        self._link: Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._received: tuple[int, Picture] | None = None
        self._changed = asyncio.Event()
        self._ended: str | None = None
        self._ticks = -FRAME_TICKS
        self._sent: VideoFrame | None = None
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

    @property
    def session_id(self) -> str | None:
        """The session's id, for REST and for viewers; None while there is none."""
        return None if self._link is None or self._ended is not None else str(self._link.session["id"])

    async def connect(self) -> None:
        """Open the session. LiveError where that cannot be."""
        self._link = await self._open(None)

    async def close(self) -> None:
        """End the session; safe to call twice."""
        self._end("The session was closed here.")
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._link is not None:
            await self._link.close(end=True)
            self._link = None
        await self._api.close()

    async def set(self, *, face: int | None = None, ramp_ms: float | None = None, **edits: float) -> dict[str, Any]:
        """Change some strengths, of all faces or of the one with the number `face`.

        Returns the acknowledgement, with `rev` and the first frame that uses them.
        """
        link = await self._wait_for_link()
        aimed = {"edits": edits} if face is None else {"faces": {str(face): edits}}
        answer = await link.set({**aimed, **({} if ramp_ms is None else {"ramp_ms": ramp_ms})})
        if face is None:
            self._edits = {**self._edits, **edits}
        return answer

    async def faces(self) -> list[dict[str, Any]]:
        """The faces in the server's newest picture: `id`, `box` in shares of the picture, `since`, `edited`."""
        await self._wait_for_link()
        return list(await self._api.request("GET", f"api/v1/sessions/{self.session_id}/faces"))

    def send(self, frame: Picture, seconds: float | None = None) -> int:
        """Offer a picture, shown at `seconds`; the newest wins. Returns its time in ticks of 1/90000 s."""
        self._check(frame)
        wanted = self._ticks + FRAME_TICKS if seconds is None else round(seconds / CLOCK)
        self._ticks = max(self._ticks + RESEND_TICKS, wanted)
        sent = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        sent.pts, sent.time_base = self._ticks, CLOCK
        self._sent = sent
        if self._link is not None:
            self._link.track.push(sent)
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
                        async with asyncio.timeout(RESEND_SECONDS):
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
            async with asyncio.timeout(timeout):
                await self._wait_until(lambda: self._received is not None or self._ended is not None)
        except TimeoutError:
            raise LiveError(f"No picture came within {timeout:g} s.") from None
        if self._received is None:
            raise LiveError(self._ended or "The session ended.")
        received, self._received = self._received, None
        return received

    def _check(self, frame: Picture) -> None:
        if self._ended is not None:
            raise LiveError(self._ended)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"A picture is RGB uint8 (H, W, 3), not {frame.dtype} {frame.shape}.")

    # ---- what happens on the link

    def on_picture(self, link: Link, ticks: int, picture: Picture) -> None:
        """A picture came; those of an earlier link are of no use."""
        if link is self._link:
            self._received = (ticks, picture)
            self._changed.set()

    def on_numbers(self, stats: dict[str, Any]) -> None:
        """The server told its numbers."""
        self.stats = stats

    def on_lost(self, link: Link, reason: str, wanted: bool) -> None:
        """Open another link, or end where somebody meant it to end."""
        if link is not self._link or self._ended is not None:
            return
        if wanted or not self._wants_again:
            self._end(reason)
        else:
            self._link, self._offset = None, None
            self._connecting = asyncio.create_task(self._reconnect(link, reason))

    async def _open(self, token: str | None) -> Link:
        link = Link(self._api, self)
        resume = {} if token is None else {"resume_token": token}
        try:
            await link.open({"edits": self._edits, "options": self._options, **resume})
        except BaseException:
            await link.close(end=True)
            raise
        return link

    async def _reconnect(self, lost: Link, reason: str) -> None:
        logger.info("%s It is opened again.", reason)
        await lost.close(end=False)
        token, loop, wait = str(lost.session["resume_token"]), asyncio.get_running_loop(), FIRST_WAIT
        deadline = loop.time() + RECONNECT_SECONDS
        while True:
            try:
                link = await self._open(token)
                break
            except LiveError as error:
                if error.is_final or loop.time() + wait > deadline:
                    self._end(f"{reason} It could not be opened again: {error}")
                    return
            # Not all clients of a server that comes back at the same moment.
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))
            wait = min(LONGEST_WAIT, 2 * wait)
        self.resumed += bool(link.session.get("resumed"))
        self._link = link
        if self._sent is not None:
            link.track.push(self._sent)
        self._changed.set()

    async def _wait_for_link(self) -> Link:
        await self._wait_until(lambda: self._link is not None or self._ended is not None)
        if self._link is None or self._ended is not None:
            raise LiveError(self._ended or "The session was not opened.")
        return self._link

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = reason
            self._changed.set()

    async def _wait_until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()
