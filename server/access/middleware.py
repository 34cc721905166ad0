"""Around every request: security headers, a limit on bodies, and who may ask from elsewhere. Plain ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import ApiError

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: mediastream:; "
        "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
PROTECTED = ("/api/", "/offer", "/metrics", "/whip", "/whip/", "/whep/")
ENDED = ApiError(503, "draining", "The server has ended.", "Ask again once it is back.")
EXPOSED = "Location, ETag, Link, Accept-Patch, Retry-After, X-Session-Id"
"""Headers of answers that a foreign page may read."""


class SecurityHeaders:
    """Adds the headers to every answer; answers of the API are not to be kept by caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store" if is_protected(scope) else "no-cache")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class AnswerAtTheEnd:
    """Answers 503 to a request that the server's end cuts off, where uvicorn would write a traceback for each."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_on(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except asyncio.CancelledError:
            if begun or scope["type"] != "http":
                raise
            await ENDED.response()(scope, receive, send)


STREAMED = ("/api/v1/attributes",)


class BodyLimit:
    """Answers 413 to a body of more than `limit` bytes, stated or not, and 408 to one that takes more than `seconds`.

    The routes of `STREAMED` limit their bodies themselves, as they take them piece by piece.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in STREAMED:
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "")
        if stated.isdigit() and int(stated) > self._limit:
            await self._refuse().response()(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._read(receive), self._seconds)
        except TimeoutError:
            message = f"The body did not come within {self._seconds:g} seconds."
            error = ApiError(408, "too_slow", message, "Try again.", {"Connection": "close"})
            await error.response()(scope, receive, send)
            return
        if body is None:
            await self._refuse().response()(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body; None once it is too long."""
        body = b""
        while True:
            message = await receive()
            body += bytes(message.get("body", b""))
            if len(body) > self._limit:
                return None
            if not message.get("more_body", False):
                return body

    def _refuse(self) -> ApiError:
        message = f"The body is larger than {self._limit} bytes."
        return ApiError(413, "body_too_large", message, "An offer and its edits need far less.")


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


class CorsHeaders:
    """Lets pages of the origins allowed use the API (CORS); without any, no foreign page may."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin", "") if is_protected(scope) else ""
        if origin not in self._allowed:
            await self._app(scope, receive, send)
            return

        async def send_with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["access-control-allow-origin"] = origin
                headers["access-control-expose-headers"] = EXPOSED
                headers["cross-origin-resource-policy"] = "cross-origin"
                headers.append("vary", "Origin")
            await send(message)

        # A preflight carries no key (Fetch standard), so it is answered before one is asked for.
        asked = Headers(scope=scope).get("access-control-request-method")
        if scope["method"] == "OPTIONS" and asked is not None:
            headers = {
                "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
                "Access-Control-Max-Age": "600",
            }
            await Response(status_code=204, headers=headers)(scope, receive, send_with_origin)
            return
        await self._app(scope, receive, send_with_origin)


def is_protected(scope: Scope) -> bool:
    """Whether a request is one of the API's."""
    return scope["type"] == "http" and any(
        scope["path"].startswith(prefix) if prefix.endswith("/") else scope["path"] == prefix for prefix in PROTECTED
    )
