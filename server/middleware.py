"""Around every request: security headers, a limit on bodies, and the API key. Plain ASGI."""

from __future__ import annotations

import secrets

from starlette.datastructures import Headers, MutableHeaders
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
PROTECTED = ("/api/", "/offer", "/metrics")


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


class BodyLimit:
    """Answers 413 to a body of more than `limit` bytes, whether or not it states its length."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "")
        if stated.isdigit() and int(stated) > self._limit:
            await self._refuse().response()(scope, receive, send)
            return
        body = await self._read(receive)
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


class ApiKey:
    """Answers 401 to requests of the API without `Authorization: Bearer KEY`; the page and the probes stay open."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_protected(scope) and not self._is_right(Headers(scope=scope)):
            error = ApiError(
                401,
                "unauthorized",
                "This server asks for a key.",
                "Send Authorization: Bearer KEY.",
                {"WWW-Authenticate": "Bearer"},
            )
            await error.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_right(self, headers: Headers) -> bool:
        return secrets.compare_digest(headers.get("authorization", "").encode("utf-8", "replace"), self._expected)


def is_protected(scope: Scope) -> bool:
    """Whether a request is one of the API's."""
    return scope["type"] == "http" and any(
        scope["path"].startswith(prefix) if prefix.endswith("/") else scope["path"] == prefix for prefix in PROTECTED
    )
