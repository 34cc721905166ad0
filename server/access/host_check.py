"""Which names a server answers to, and whose pages may change anything on it. Plain ASGI.

A page of a stranger reaches a server on its viewer's own machine in two ways: its name is made to lead there (DNS
rebinding; then `Host` is that name), or it sends a request there that its browser lets pass without asking (then
`Origin` is the page's).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.config import ANY_HOST
from server.errors import ApiError

LOOPBACK = ("localhost", "*.localhost", "127.0.0.1", "::1")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class HostCheck:
    """Answers 421 (RFC 9110, section 15.5.20) to requests for names that are not this server's.

    Known are the loopback's names, the address that the request came to, and `allowed`: names, addresses and
    `*.DOMAIN`, which stands for one more label as in a certificate; `*` allows all.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(_host_of(f"[{name}]" if ":" in name else name) for name in (*LOOPBACK, *allowed))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = _host_of(Headers(scope=scope).get("host", "")) if scope["type"] == "http" else None
        if host is None or self._is_known(host, scope):
            await self._app(scope, receive, send)
            return
        message = f"This server does not answer for {host or 'a request without a host'}."
        error = ApiError(421, "unknown_host", message, "Start it with --allow-host NAME where that is its name.")
        await error.response()(scope, receive, send)

    def _is_known(self, host: str, scope: Scope) -> bool:
        if ANY_HOST in self._allowed or host in self._allowed or f"*.{host.partition('.')[2]}" in self._allowed:
            return True
        # Nobody can make a name of theirs an address: who names it has come to it.
        address = scope.get("server")
        return address is not None and host == _host_of(f"[{address[0]}]" if ":" in address[0] else address[0])


class OriginCheck:
    """Answers 403 to requests that change something and come from a page elsewhere, but for the origins `allowed`.

    Whether it is elsewhere is for the browser to say (`Sec-Fetch-Site`), as behind a proxy `Host` may be another name
    than the page's; one that does not say so is judged by `Origin` and `Host`. What is no browser sends neither.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or not self._is_foreign(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        message = "Pages of other origins may change nothing on this server."
        error = ApiError(403, "foreign_origin", message, "Start it with --allow-origin ORIGIN for pages of yours.")
        await error.response()(scope, receive, send)

    def _is_foreign(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin in self._allowed:
            return False
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _host_of(text: str) -> str:
    """A `Host` without its port, in lower case; an address in its usual form, without brackets."""
    name = text.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.rstrip(".")
