"""Who makes a request: the API key it came with, and what that key may do."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
from collections.abc import Sequence
from contextvars import ContextVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.access.middleware import is_protected
from server.access.rate_limits import RateLimit
from server.errors import ApiError

caller: ContextVar[str] = ContextVar("caller", default="")
"""The name of the key of the request at hand; empty where none is asked for, or outside of requests."""

WRONG_KEYS_PER_MINUTE = 20
"""From one address; more are not even looked at."""


def name_of(key: str) -> str:
    """What a key is called in logs; it cannot be told from it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


class ApiKeys:
    """Answers 401 to requests of the API without `Authorization: Bearer KEY`; the page and the probes stay open.

    An address that has sent too many wrong keys gets 429 for a while, whatever it sends: it may be guessing.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._wrong = RateLimit(WRONG_KEYS_PER_MINUTE, WRONG_KEYS_PER_MINUTE / 60)
        self._expected = {name_of(key): f"Bearer {key}".encode() for key in keys}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_protected(scope):
            await self._app(scope, receive, send)
            return
        address, headers = _address(scope), Headers(scope=scope)
        wait = self._wrong.wait(address)
        if wait > 0:
            message = "Too many wrong keys came from your address."
            await _too_many(message, wait).response()(scope, receive, send)
            return
        name = self._name(headers)
        if name is None:
            if "authorization" in headers:
                self._wrong.take(address)
            await self._refuse(scope, receive, send)
            return
        token = caller.set(name)
        try:
            await self._app(scope, receive, send)
        finally:
            caller.reset(token)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        hint = "Send Authorization: Bearer KEY."
        error = ApiError(401, "unauthorized", "This server asks for a key.", hint, {"WWW-Authenticate": "Bearer"})
        await error.response()(scope, receive, send)

    def _name(self, headers: Headers) -> str | None:
        # Each is compared whatever the others say, so that the time taken tells nothing.
        given = headers.get("authorization", "").encode("utf-8", "replace")
        found = [name for name, expected in self._expected.items() if secrets.compare_digest(given, expected)]
        return found[0] if found else None


class RequestLimit:
    """Answers 429 to more than `per_minute` requests of the API by one caller: a key, else an address.

    A minute's requests may come at once.
    """

    def __init__(self, app: ASGIApp, per_minute: int) -> None:
        self._app = app
        self._per_minute = per_minute
        self._rates = RateLimit(per_minute, per_minute / 60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = self._rates.take(caller.get() or _address(scope)) if is_protected(scope) else 0.0
        if wait > 0:
            message = f"More than {self._per_minute} requests a minute came from you."
            await _too_many(message, wait).response()(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _too_many(message: str, wait: float) -> ApiError:
    headers = {"Retry-After": str(math.ceil(wait))}
    return ApiError(429, "too_many_requests", message, "Wait for Retry-After seconds.", headers)


def _address(scope: Scope) -> str:
    """Name a client by its address; of IPv6 by its network, as whoever has one address there has all of them."""
    text = str((scope.get("client") or ("",))[0])
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return text if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
