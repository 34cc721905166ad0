"""The HTTP side of a cluster: every replica of it finds any session, places new ones, and answers for all workers."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import suppress
from typing import Any

from fastapi import FastAPI
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from server.access.api_keys import caller
from server.access.middleware_stack import add_checks
from server.cluster.actors import CALL_SECONDS, Actors, Gone, Unreachable
from server.cluster.lost_sessions import FIND_SECONDS, LostSession, LostSessions
from server.cluster.messages import HttpReply, HttpRequest, Opening, Placement
from server.cluster.metrics import count_workers_by_state, merge
from server.cluster.names import FLEET, worker_of
from server.config import ServerConfig
from server.errors import ApiError, add_error_handlers
from server.metrics import Metrics
from server.uploads.uploads import MOST_AT_ONCE, READ_SECONDS, place_for, too_large, within_time
from server.webrtc.offer_bounds import check_size

logger = logging.getLogger(__name__)

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
OF_A_SESSION = re.compile(r"/(?:api/v1/sessions|whip|whep)/(?P<id>[^/]+)(?:/.*)?")
WHIP = "/whip"
OPENING = ("/api/v1/sessions", "/offer", WHIP)
TRIES = 3
"""Workers that a new session is tried on."""
GATHER_SECONDS = 2.0
UPLOAD_SECONDS = READ_SECONDS + CALL_SECONDS
RETRY = {"Retry-After": "5"}
REPLICA_HEADER = "X-Ingress"
"""Which replica answered, to tell them apart."""


class Ingress:
    """A Ray Serve deployment."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return build_ingress(self._config, serve.get_replica_context().replica_id.unique_id)


def build_ingress(config: ServerConfig, replica: str, actors: Actors | None = None) -> FastAPI:
    """The ingress as an ASGI app, with the same checks of requests as a lone server.

    `actors`: whom it asks; those of the cluster where they are not given.
    """
    router = Router(actors or Actors(), config)
    app = FastAPI(title="RIGID Live", openapi_url=None, docs_url=None, redoc_url=None)
    add_error_handlers(app)
    app.add_route("/healthz", router.healthz, methods=["GET"])
    app.add_route("/readyz", router.readyz, methods=["GET"])
    app.add_route("/metrics", router.metrics, methods=["GET"])
    app.add_route("/api/v1/workers", router.workers, methods=["GET"])
    app.add_route("/api/v1/attributes", router.upload if config.allow_uploads else refuse_attribute, methods=["POST"])
    app.add_route("/api/v1/presets/{name}", refuse_preset, methods=["PUT", "DELETE"])
    app.add_route("/{path:path}", router.forward, methods=METHODS)

    @app.middleware("http")
    async def name_replica(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers[REPLICA_HEADER] = replica
        return response

    add_checks(app, config)
    return app


async def refuse_attribute(_request: Request) -> Response:
    """Answer 403 where nothing from clients is wanted; the body is not read."""
    raise ApiError(
        403, "uploads_off", "This cluster takes no attributes from clients.", "Start it with --allow-uploads."
    )


async def refuse_preset(_request: Request) -> Response:
    """Answer 403: what a client left would be on the node of one worker alone."""
    message = "A cluster takes no presets from clients, as they would be on one node alone."
    raise ApiError(403, "uploads_off", message, "Put the preset's file on every node, and start the service anew.")


class Router:
    """Decides who answers a request."""

    def __init__(self, actors: Actors, config: ServerConfig) -> None:
        self._actors = actors
        self._lost = LostSessions(actors)
        self._config = config
        self._uploads = asyncio.Semaphore(MOST_AT_ONCE)

    async def healthz(self, _request: Request) -> Response:
        """Answer 200 while this replica runs."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Answer 200 while a worker takes sessions."""
        ready = sum(one["state"] == "ready" for one in await self._describe())
        if not ready:
            raise _make_refusal(Placement(code="not_ready", message="No worker of this cluster can take sessions yet."))
        return JSONResponse({"status": "ready", "workers": ready})

    async def workers(self, _request: Request) -> Response:
        """Answer with every worker, how it is and what it carries."""
        return JSONResponse(await self._describe())

    async def metrics(self, _request: Request) -> Response:
        """The numbers of all workers, each with its name, for Prometheus."""
        states = [str(one["state"]) for one in await self._describe()]
        parts = await self._of_all("metrics")
        text = await asyncio.to_thread(merge, [*parts, [count_workers_by_state(states)]])
        return Response(text, media_type=Metrics.MEDIA_TYPE)

    async def upload(self, request: Request) -> Response:
        """Let one worker read a client's attribute, and give it to the others before the answer."""
        async with place_for(self._uploads):
            receiving = _read_body(request, self._config.max_upload_bytes)
            asked = _copy_request(request, await within_time(receiving, self._config.upload_seconds))
            worker, reply = await self._any(asked, UPLOAD_SECONDS)
        if reply.status == 201:
            with suppress(ApiError):  # the fleet sees by itself, a moment later, who lacks it
                await self._fleet("hand_on", json.loads(reply.body)["name"], worker)
        return _make_response(reply)

    async def forward(self, request: Request) -> Response:
        """Let the worker answer that has the session, or that is to get it, or any."""
        asked = _copy_request(request, await request.body())
        found = OF_A_SESSION.fullmatch(asked.path)
        if found is not None:
            return _make_response(await self._of_session(found["id"], asked))
        if asked.method == "POST" and asked.path in OPENING:
            return _make_response(await self._open(asked))
        if asked.method == "GET" and asked.path == "/api/v1/sessions":
            return await self._list(asked)
        return _make_response((await self._any(asked))[1])

    async def _of_session(self, identity: str, asked: HttpRequest) -> HttpReply:
        name = worker_of(identity)
        if not name:
            raise ApiError(404, "unknown_session", f"There is no session {identity!r}.", "GET /api/v1/sessions.")
        try:
            return _reply(await self._actors.call(name, "request", asked))
        except Gone:
            hint = "Open one with your resume token."
            raise ApiError(410, "session_closed", "The session's worker has ended.", hint) from None
        except Unreachable:
            hint = "Open a new session with your resume token."
            raise ApiError(503, "worker_lost", "The session's worker does not answer.", hint, RETRY) from None

    async def _open(self, asked: HttpRequest) -> HttpReply:
        """Try the freest workers one after another, until one takes the session."""
        # its worker would refuse it, too, but a place for it would have been looked for
        check_size(asked.body.decode("utf-8", "replace") if asked.path == WHIP else _read_text(asked, "sdp"))
        token = _read_text(asked, "resume_token")
        left = await self._lost.recover(token, await self._fleet("workers")) if worker_of(token) else LostSession()
        # who does not give a session up takes none either, though it may be the freest until the fleet has noticed
        tried = [left.silent] if left.silent else []
        while True:
            placement: Placement = await self._fleet("place", caller.get(), tried)
            if not placement.worker or len(tried) >= TRIES:
                raise _make_refusal(placement)
            reply = await self._open_at(placement, asked, Opening(placement.number, token, left.kept))
            if reply is not None:
                break
            tried.append(placement.worker)
        if reply.status == 201:
            await self._actors.ask_all(left.holders, "forget", token, seconds=FIND_SECONDS)
        return reply

    async def _open_at(self, placement: Placement, asked: HttpRequest, opening: Opening) -> HttpReply | None:
        """A worker's answer to the request for a session; None where it is gone, or has no room after all."""
        reply: HttpReply | None = None
        try:
            reply = _reply(await self._actors.call(placement.worker, "request", asked, opening))
        except (Gone, Unreachable) as error:
            logger.info("A session is tried elsewhere: %s", error)
        if reply is None or reply.status != 201:
            await self._actors.ask_all([FLEET], "note_refusal", placement, seconds=FIND_SECONDS)
        return None if reply is None or reply.status == 503 else reply

    async def _list(self, asked: HttpRequest) -> Response:
        replies = [_reply(one) for one in await self._of_all("request", asked)]
        for reply in replies:
            if reply.status != 200:
                return _make_response(reply)
        return JSONResponse([one for reply in replies for one in json.loads(reply.body)])

    async def _any(self, asked: HttpRequest, seconds: float = CALL_SECONDS) -> tuple[str, HttpReply]:
        """A worker, and what any answers alike: the page, attributes, presets, ICE servers, the version."""
        for one in await self._describe():
            if one["state"] == "ready":
                try:
                    name = str(one["name"])
                    return name, _reply(await self._actors.call(name, "request", asked, seconds=seconds))
                except (Gone, Unreachable):
                    continue
        raise _make_refusal(Placement(code="not_ready", message="No worker of this cluster is ready yet."))

    async def _of_all(self, method: str, *arguments: object) -> list[Any]:
        return await self._actors.ask_all(await self._fleet("workers"), method, *arguments, seconds=GATHER_SECONDS)

    async def _describe(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = await self._fleet("describe")
        return found

    async def _fleet(self, method: str, *arguments: object) -> Any:
        try:
            return await self._actors.fleet(method, *arguments, seconds=GATHER_SECONDS)
        except (Gone, Unreachable):
            message = "Who places the sessions of this cluster does not answer."
            raise ApiError(503, "not_ready", message, "Try again in a moment.", RETRY) from None


async def _read_body(request: Request, most: int) -> bytes:
    """A body; ApiError 413 once it is too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise too_large(most)
    return bytes(body)


def _copy_request(request: Request, body: bytes) -> HttpRequest:
    scope = request.scope
    client = scope.get("client")
    return HttpRequest(
        scope["method"],
        scope["path"],
        scope["query_string"],
        [(bytes(name), bytes(value)) for name, value in scope["headers"]],
        body,
        None if client is None else (client[0], client[1]),
        scope["scheme"],
        scope.get("root_path", ""),
    )


def _read_text(asked: HttpRequest, name: str) -> str:
    """Read what a request's JSON has under a name; empty where that is no text, or the body no JSON."""
    try:
        text = json.loads(asked.body)[name]
    except (ValueError, KeyError, TypeError):
        return ""
    return text if isinstance(text, str) else ""


def _reply(found: Any) -> HttpReply:
    assert isinstance(found, HttpReply)
    return found


def _make_response(reply: HttpReply) -> Response:
    response = Response(reply.body, reply.status)
    response.raw_headers = list(reply.headers)
    return response


def _make_refusal(placement: Placement) -> ApiError:
    message = placement.message or "The workers that were to take the session do not answer."
    hint = placement.hint or "Try again in a moment."
    return ApiError(placement.status, placement.code or "not_ready", message, hint, RETRY)
