"""The `control` data channel: edits in, acknowledgements, statistics and states out. JSON, and plain ping."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from server.access.rate_limits import RateLimit
from server.errors import ApiError, invalid
from server.session.request_models import EditsRequest
from server.webrtc.peer import DataChannel

LABEL = "control"
MAX_MESSAGE = 16 * 1024
MAX_UNSENT = 64 * 1024
MAX_PENDING = 64
MESSAGES_PER_SECOND = 100
BURST = 200
ACK_SECONDS = 2.0


class Result(Protocol):
    """What a request for edits came to."""

    @property
    def rev(self) -> int:
        """The revision it made."""

    @property
    def warnings(self) -> list[str]:
        """What goes beyond what looks natural."""


Apply = Callable[[EditsRequest], Result]
Reanchor = Callable[[], None]


@dataclass(frozen=True)
class Pending:
    """A `set` that no processed frame has used yet."""

    id: object
    rev: int
    warnings: list[str]
    deadline: float


class ControlChannel:
    """Speaks with one client. `apply` makes a revision of new edits, or raises ApiError; `reanchor` asks the stream to.

    Nothing a client sends can raise here: what is not understood is answered with an error.
    """

    def __init__(self, channel: DataChannel, apply: Apply, reanchor: Reanchor, clock: Callable[[], float]) -> None:
        self._channel = channel
        self._apply = apply
        self._reanchor = reanchor
        self._clock = clock
        self._pending: deque[Pending] = deque()
        self._rates = RateLimit(BURST, MESSAGES_PER_SECOND, clock)
        self._objections = RateLimit(1, 1, clock)
        channel.on("message", self._on_message)

    def send(self, kind: str, **fields: object) -> bool:
        """Send a message; False where the channel is closed, or its client reads too slowly."""
        return self._send({"type": kind, **fields})

    def acknowledge_up_to(self, rev: int, frame: int) -> None:
        """Acknowledge all edits up to `rev`, first used in the processed frame number `frame`.

        The client is told of edits that came another way too, so that it knows what holds.
        """
        self.send("applied", rev=rev, applied_frame=frame)
        while self._pending and self._pending[0].rev <= rev:
            self._acknowledge(self._pending.popleft(), frame)

    def tick(self) -> None:
        """Acknowledge edits that found no frame for two seconds: they hold, and will be in the next one."""
        now = self._clock()
        while self._pending and self._pending[0].deadline <= now:
            self._acknowledge(self._pending.popleft(), None)

    def _acknowledge(self, pending: Pending, frame: int | None) -> None:
        flagged = {"warnings": pending.warnings} if pending.warnings else {}
        self.send("ack", id=pending.id, ok=True, rev=pending.rev, applied_frame=frame, **flagged)

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
        elif kind == "ping":
            self._send({**content, "type": "pong"})
        else:
            message = f"There is no message type {kind!r}."
            self._object(ApiError(400, "unknown_type", message, "Send set, reanchor or ping."), identity)

    def _set(self, identity: object, content: Mapping[str, Any]) -> None:
        try:
            done = self._apply(EditsRequest.model_validate(content))
        except ValidationError as error:
            self._refuse(identity, invalid(error.errors()))
        except ApiError as error:
            self._refuse(identity, error)
        else:
            if len(self._pending) >= MAX_PENDING:
                self._acknowledge(self._pending.popleft(), None)
            self._pending.append(Pending(identity, done.rev, done.warnings, self._clock() + ACK_SECONDS))

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
