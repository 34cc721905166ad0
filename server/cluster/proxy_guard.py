"""Ray Serve's HTTP server with the deadlines of a lone one, and its bound to connections."""

from __future__ import annotations

from starlette.middleware import Middleware
from uvicorn.config import HTTP_PROTOCOLS

from server.access.connection_limits import GuardedProtocol, make_room_for_connections


def guard_connections() -> list[Middleware]:
    """Let the server that is made next in this process have guarded connections; nothing stands around its app.

    Ray Serve's proxy starts uvicorn with the protocol that uvicorn chooses, which waits for ever for the rest of a
    request's headers. This is called by the proxy, where `PROXY_ENVIRONMENT` is its own, just before that.
    """
    GuardedProtocol.most = make_room_for_connections()
    HTTP_PROTOCOLS["auto"] = f"{GuardedProtocol.__module__}:{GuardedProtocol.__name__}"
    return []


PROXY_ENVIRONMENT = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{__name__}:{guard_connections.__name__}"}
