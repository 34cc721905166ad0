"""What every request goes through, on a server by itself and at the entrance of a cluster alike."""

from __future__ import annotations

from fastapi import FastAPI

from server.access.api_keys import ApiKeys, RequestLimit
from server.access.host_check import HostCheck, OriginCheck
from server.access.middleware import BodyLimit, CorsHeaders, SecurityHeaders
from server.config import ServerConfig


def add_checks(app: FastAPI, config: ServerConfig) -> None:
    """Limits to bodies and requests, keys, origins, hosts and security headers; the last added sees a request first."""
    app.add_middleware(BodyLimit, limit=config.max_body_bytes, seconds=config.body_seconds)
    if config.requests_per_minute is not None:
        app.add_middleware(RequestLimit, per_minute=config.requests_per_minute)
    if config.api_keys:
        app.add_middleware(ApiKeys, keys=config.api_keys)
    app.add_middleware(OriginCheck, allowed=config.allow_origins)
    if config.allow_origins:
        app.add_middleware(CorsHeaders, allowed=config.allow_origins)
    app.add_middleware(HostCheck, allowed=config.allow_hosts)
    app.add_middleware(SecurityHeaders)
