"""Who makes a request: the API key it came with, and what that key may do."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextvars import ContextVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.errors import ApiError
from server.middleware import is_protected

caller: ContextVar[str] = ContextVar("caller", default="")
"""The name of the key of the request at hand; empty where none is asked for, or outside of requests."""

REMEMBERED = 1024


def name_of(key: str) -> str:
    """What a key is called in logs; it cannot be told from it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


class ApiKeys:
    """Answers 401 to requests of the API without `Authorization: Bearer KEY`; the page and the probes stay open."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._expected = {name_of(key): f"Bearer {key}".encode() for key in keys}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_protected(scope):
            await self._app(scope, receive, send)
            return
        name = self._name(Headers(scope=scope))
        if name is None:
            headers = {"WWW-Authenticate": "Bearer"}
            hint = "Send Authorization: Bearer KEY."
            error = ApiError(401, "unauthorized", "This server asks for a key.", hint, headers)
            await error.response()(scope, receive, send)
            return
        token = caller.set(name)
        try:
            await self._app(scope, receive, send)
        finally:
            caller.reset(token)

    def _name(self, headers: Headers) -> str | None:
        # Each is compared whatever the others say, so that the time taken tells nothing.
        given = headers.get("authorization", "").encode("utf-8", "replace")
        found = [name for name, expected in self._expected.items() if secrets.compare_digest(given, expected)]
        return found[0] if found else None


class RequestLimit:
    """Answers 429 to more than `per_minute` requests of the API by one caller: a key, else an address.

    A bucket that holds a minute's requests and fills evenly, so that a burst passes and a flood does not.
    """

    def __init__(self, app: ASGIApp, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = self._take(caller.get() or _address(scope)) if is_protected(scope) else 0.0
        if wait > 0:
            message = f"More than {self._per_minute} requests a minute came from you."
            headers = {"Retry-After": str(math.ceil(wait))}
            error = ApiError(429, "too_many_requests", message, "Wait for Retry-After seconds.", headers)
            await error.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _take(self, name: str) -> float:
        """Take one request from a bucket; how long to wait where it is empty, seconds."""
        now, rate = self._clock(), self._per_minute / 60
        left, at = self._buckets.pop(name, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - at) * rate)
        allowed = left >= 1
        self._buckets[name] = (left - 1 if allowed else left, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / rate


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""
