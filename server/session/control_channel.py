"""The `control` data channel: edits in, acknowledgements, statistics and states out. JSON, and plain ping."""

from __future__ import annotations

import json
from asyncio import Future
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from rigid.edits.ramp import Easing
from server.access.rate_limits import RateLimit
from server.errors import ApiError, invalid
from server.session.request_models import EditsRequest, FacesRequest
from server.webrtc.peer import DataChannel

LABEL = "control"
MAX_MESSAGE = 16 * 1024
MAX_UNSENT = 64 * 1024
MESSAGES_PER_SECOND = 100
BURST = 200


@dataclass(frozen=True)
class Applied:
    """What became of a request for edits."""

    rev: int
    ramp_ms: float
    easing: Easing
    warnings: list[str]
    """What goes beyond what looks natural."""


class ControlChannel:
    """Speaks with one client.

    `apply` makes a revision of new edits, or raises ApiError; `expect` tells the first frame with one, or None where
    that does not come in time; `reanchor` has the stream anchored anew.
    Nothing a client sends can raise here: what is not understood is answered with an error.
    """

    def __init__(
        self,
        channel: DataChannel,
        apply: Callable[[EditsRequest], Applied],
        expect: Callable[[int], Future[int | None]],
        reanchor: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._channel = channel
        self._apply = apply
        self._expect = expect
        self._reanchor = reanchor
        self._faces_every: float | None = None
        """Seconds between two messages about faces; None where they are not asked for."""
        self._faces_told = 0.0
        self._clock = clock
        self._rates = RateLimit(BURST, MESSAGES_PER_SECOND, clock)
        self._objections = RateLimit(1, 1, clock)
        channel.on("message", self._on_message)

    def send(self, kind: str, **fields: object) -> bool:
        """Send a message; False where the channel is closed, or its client reads too slowly."""
        return self._send({"type": kind, **fields})

    def tell_faces(self, describe: Callable[[], list[dict[str, object]]]) -> None:
        """Send what `describe` gives of the newest picture's faces, as often as the client asked for."""
        now = self._clock()
        if self._faces_every is not None and now - self._faces_told >= self._faces_every:
            self._faces_told = now
            self.send("faces", faces=describe())

    def _acknowledge(self, identity: object, done: Applied, first: Future[int | None]) -> None:
        flagged = {"warnings": done.warnings} if done.warnings else {}
        self.send("ack", id=identity, ok=True, rev=done.rev, applied_frame=first.result(), **flagged)

    def _on_message(self, message: str | bytes) -> None:
        if self._rates.take() > 0:
            if not self._objections.take():
                problem = f"More than {MESSAGES_PER_SECOND} messages a second came; some are left out."
                self._object(ApiError(429, "too_many_messages", problem, "Send what changed last, at leisure."))
            return
        if len(message) > MAX_MESSAGE:
            problem = f"The message has {len(message)} bytes; at most {MAX_MESSAGE} are taken."
            self._object(ApiError(413, "message_too_large", problem))
            return
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        if text == "ping" or text.startswith("ping "):
            self._say("pong" + text[4:])
            return
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            self._object(ApiError(400, "bad_json", "The message is no JSON object.", "Send {type, ...}."))
            return
        self._dispatch(content)

    def _dispatch(self, content: Mapping[str, Any]) -> None:
        kind, identity = content.get("type"), content.get("id")
        if kind == "set":
            self._set(identity, content)
        elif kind == "reanchor":
            self._reanchor()
            self.send("ack", id=identity, ok=True)
        elif kind == "faces":
            self._watch_faces(identity, content)
        elif kind == "ping":
            self._send({**content, "type": "pong"})
        else:
            message = f"There is no message type {kind!r}."
            self._object(ApiError(400, "unknown_type", message, "Send set, faces, reanchor or ping."), identity)

    def _set(self, identity: object, content: Mapping[str, Any]) -> None:
        try:
            done = self._apply(EditsRequest.model_validate(content))
        except ValidationError as error:
            self._refuse(identity, invalid(error.errors()))
        except ApiError as error:
            self._refuse(identity, error)
        else:
            self._expect(done.rev).add_done_callback(partial(self._acknowledge, identity, done))

    def _watch_faces(self, identity: object, content: Mapping[str, Any]) -> None:
        try:
            asked = FacesRequest.model_validate(content)
        except ValidationError as error:
            self._refuse(identity, invalid(error.errors()))
        else:
            self._faces_every = asked.every_ms / 1000 if asked.every_ms else None
            self.send("ack", id=identity, ok=True)

    def _refuse(self, identity: object, error: ApiError) -> None:
        self.send("ack", id=identity, ok=False, error=error.describe())

    def _object(self, error: ApiError, identity: object = None) -> None:
        self.send("error", id=identity, error=error.describe())

    def _send(self, content: Mapping[str, object]) -> bool:
        return self._say(json.dumps(content))

    def _say(self, text: str) -> bool:
        if self._channel.readyState != "open" or self._channel.bufferedAmount > MAX_UNSENT:
            return False
        self._channel.send(text)
        return True
