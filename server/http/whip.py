"""WHIP, by which standard clients send video (RFC 9725), and WHEP, by which they watch (draft-ietf-wish-whep).

Both answer an offer of `application/sdp` with 201, the answer, and the address of a resource that takes PATCH for
candidates found later and DELETE for the end. That address holds a secret; the session's public id is another.
"""

from __future__ import annotations

from typing import Any

from aiortc import RTCSessionDescription
from fastapi import APIRouter, Request, Response

from server.errors import ApiError, stated_type, wrong_type
from server.http.error_catalogue import FIND, OPEN, TRICKLE, Codes, errors
from server.ice_servers import IceServer, Relay
from server.readiness import Readiness
from server.session.manager import SessionManager
from server.session.request_models import SessionRequest
from server.webrtc.trickle import IceResource, parse_fragment

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


def add_whip(router: APIRouter, manager: SessionManager, readiness: Readiness, relay: Relay) -> None:
    """Add the routes of both."""
    _add_sending(router, manager, readiness, relay)
    _add_watching(router, manager, readiness, relay)
    for path in ("/whip", "/whep/{identity}"):
        for below, answer in (("", _may_post), ("/{secret}", _may_change)):
            router.add_api_route(f"{path}{below}", answer, methods=["OPTIONS"], include_in_schema=False)


async def _may_post() -> Response:
    return Response(status_code=204, headers={"Allow": "POST, OPTIONS", "Accept-Post": SDP})


async def _may_change() -> Response:
    return Response(status_code=204, headers={"Allow": "PATCH, DELETE, OPTIONS", "Accept-Patch": FRAGMENT})


def _body(kind: str) -> dict[str, object]:
    content = {kind: {"schema": {"type": "string"}}}
    return {"requestBody": {"required": True, "content": content}}


GONE: Codes = {404: ("unknown_session",), 503: ("worker_lost",)}
OFFERED: Codes = {413: ("body_too_large",), 415: ("unsupported_media_type",)}
WATCH: Codes = {
    **OFFERED,
    400: ("bad_sdp", "no_video", "no_common_codec"),
    503: ("not_ready", "engine_failed", "too_many_viewers", "no_port"),
}
EDITS = {
    "name": "edits",
    "in": "query",
    "required": False,
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "number"}},
    "description": "Strengths the session begins with, each under its attribute's name: `?smile=0.8`.",
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string"},
    "description": "The ETag that the session was opened with.",
}
OFFER_EXTRA = _body(SDP)
TRICKLE_EXTRA = {**_body(FRAGMENT), "parameters": [IF_MATCH]}
ANSWERED: dict[int | str, dict[str, Any]] = {
    201: {"description": "The answer.", "content": {SDP: {"schema": {"type": "string"}}}}
}


def _add_sending(router: APIRouter, manager: SessionManager, readiness: Readiness, relay: Relay) -> None:
    @router.post(
        "/whip",
        status_code=201,
        response_class=Response,
        responses={**ANSWERED, **errors(OPEN, OFFERED)},
        openapi_extra={**OFFER_EXTRA, "parameters": [EDITS]},
    )
    async def send(request: Request) -> Response:
        """Open a session for a standard client, such as OBS; edits may be given as `?smile=0.8`."""
        readiness.check()
        offer = await _text(request, SDP)
        session, answer = await manager.open(SessionRequest(sdp=offer, type="offer", edits=_edits(request)))
        created = _answer_created(request, "/whip", session.resource, answer, relay)
        created.headers["X-Session-Id"] = session.id
        return created

    @router.patch(
        "/whip/{secret}",
        status_code=204,
        response_class=Response,
        responses=errors(GONE, TRICKLE),
        openapi_extra=TRICKLE_EXTRA,
    )
    async def trickle_sending(request: Request, secret: str) -> Response:
        """Take candidates that the client found after its offer."""
        return await _trickle(request, manager.sessions.find_secret(secret).resource)

    @router.delete("/whip/{secret}", response_class=Response, responses=errors(GONE))
    async def stop_sending(secret: str) -> Response:
        """End the session."""
        await manager.end_secret(secret)
        return Response()


def _add_watching(router: APIRouter, manager: SessionManager, readiness: Readiness, relay: Relay) -> None:
    @router.post(
        "/whep/{identity}",
        status_code=201,
        response_class=Response,
        responses={**ANSWERED, **errors(FIND, WATCH)},
        openapi_extra=OFFER_EXTRA,
    )
    async def watch(request: Request, identity: str) -> Response:
        """Watch what a session sends; any number of viewers up to the server's limit."""
        readiness.check()
        offer = await _text(request, SDP)
        watcher, answer = await manager.watch(identity, offer)
        return _answer_created(request, f"/whep/{identity}", watcher.resource, answer, relay)

    @router.patch(
        "/whep/{identity}/{secret}",
        status_code=204,
        response_class=Response,
        responses=errors(FIND, TRICKLE),
        openapi_extra=TRICKLE_EXTRA,
    )
    async def trickle_watching(request: Request, identity: str, secret: str) -> Response:
        """Take candidates that the viewer found after its offer."""
        return await _trickle(request, manager.sessions.find_watcher(identity, secret).resource)

    @router.delete("/whep/{identity}/{secret}", response_class=Response, responses=errors(FIND))
    async def stop_watching(identity: str, secret: str) -> Response:
        """Watch no longer."""
        await manager.sessions.find_watcher(identity, secret).close()
        return Response()


def _edits(request: Request) -> dict[str, object]:
    """The query as edits; what is no number is left for the library to refuse."""

    def number(text: str) -> object:
        try:
            return float(text)
        except ValueError:
            return text

    return {name: number(text) for name, text in request.query_params.items()}


async def _text(request: Request, kind: str) -> str:
    if stated_type(request) != kind:
        raise wrong_type(request, kind)
    return (await request.body()).decode("utf-8", "replace")


def _answer_created(
    request: Request,
    folder: str,
    resource: IceResource,
    answer: RTCSessionDescription,
    relay: Relay,
) -> Response:
    # Relative to the root of the server, behind whatever prefix a proxy keeps: some clients resolve nothing else.
    location = f"{request.scope.get('root_path', '')}{folder}/{resource.secret}"
    response = Response(answer.sdp, 201, media_type=SDP, headers={"Location": location, "ETag": resource.etag})
    response.headers["Content-Type"] = SDP
    response.headers["Accept-Patch"] = FRAGMENT
    for server in relay.for_client():
        response.headers.append("Link", _link(server))
    return response


def _link(server: IceServer) -> str:
    """Name a server as RFC 9725 section 4.6 has it."""
    parts = [f'<{server.url}>; rel="ice-server"']
    if server.username is not None:
        parts += [f'username="{server.username}"', f'credential="{server.credential}"', 'credential-type="password"']
    return "; ".join(parts)


async def _trickle(request: Request, resource: IceResource) -> Response:
    text = await _text(request, FRAGMENT)
    stated = request.headers.get("if-match")
    if stated is None:
        raise ApiError(428, "precondition_required", "The request names no ICE session.", "Send If-Match: ETAG.")
    if stated not in (resource.etag, "*"):
        raise ApiError(
            412, "precondition_failed", "The request is for another ICE session.", "Send the ETag as it came."
        )
    try:
        fragment = parse_fragment(text)
    except ValueError as error:
        raise ApiError(400, "bad_sdp", str(error), "Send candidates as RFC 8840 has them.") from error
    if fragment.ufrag is not None and fragment.ufrag != resource.ufrag:
        hint = "Open a new session with your resume token, or POST again."
        raise ApiError(422, "no_ice_restart", "An ICE session cannot be begun anew here.", hint)
    resource.add_candidates(fragment.candidates)
    return Response(status_code=204)
