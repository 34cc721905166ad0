"""The HTTP interface: sessions, their edits, what is on offer, and the probes."""

from __future__ import annotations

import asyncio
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import cv2
from av import VideoFrame
from fastapi import APIRouter, Response

from rigid.files.credentials import Credentials
from rigid.files.provenance import sign
from server.errors import ApiError
from server.frames.frame_arrays import to_rgb
from server.http.attribute_api import JPEG, add_attributes, add_presets
from server.http.error_catalogue import FIND, OPEN, READY, Codes, errors
from server.http.recording_api import add_recordings
from server.http.response_models import FaceState, IceServers, SessionNumbers, Status, VersionState
from server.http.whip import add_whip
from server.metrics import Metrics
from server.readiness import Readiness
from server.session.manager import SessionManager
from server.session.request_models import (
    Answer,
    CandidatesRequest,
    EditsAnswer,
    EditsRequest,
    OfferRequest,
    SessionCreated,
    SessionRequest,
    SessionState,
)
from server.session.shared_services import SharedServices
from server.webrtc.trickle import parse_candidate

SNAPSHOT_QUALITY = 90
UNKNOWN_FACE: Codes = {404: ("unknown_face",)}
UNUSABLE_EDITS: Codes = {422: ("bad_edit", "unknown_preset")}
TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def build_router(shared: SharedServices, manager: SessionManager, readiness: Readiness) -> APIRouter:
    """Build the router with every route of the API."""
    router = APIRouter()
    _add_sessions(router, manager, readiness)
    _add_changes(router, manager)
    _add_ends(router, manager)
    _add_views(router, shared, manager)
    add_recordings(router, shared, manager)
    add_attributes(router, shared)
    add_presets(router, shared)
    add_whip(router, manager, readiness, shared.config.relay)
    _add_offers(router, shared)
    _add_probes(router, shared, manager, readiness)
    return router


def _add_sessions(router: APIRouter, manager: SessionManager, readiness: Readiness) -> None:
    @router.post("/api/v1/sessions", status_code=201, responses=errors(OPEN))
    async def open_session(request: SessionRequest, response: Response) -> SessionCreated:
        """Open a session: a WebRTC offer in, the answer out."""
        readiness.check()
        session, answer = await manager.open(request)
        response.headers["Location"] = f"/api/v1/sessions/{session.id}"
        return SessionCreated(
            id=session.id,
            sdp=answer.sdp,
            type=answer.type,
            resume_token=session.resume_token,
            resumed=session.resumed,
        )

    @router.get("/api/v1/sessions")
    async def list_sessions() -> list[SessionState]:
        """The sessions open now."""
        return [SessionState.model_validate(session.describe()) for session in manager.sessions.visible()]

    @router.post("/offer", responses=errors(OPEN))
    async def offer(request: OfferRequest) -> Answer:
        """Open a session, in the shape of aiortc's own example."""
        readiness.check()
        session, answer = await manager.open(SessionRequest(sdp=request.sdp, type=request.type))
        return Answer(sdp=answer.sdp, type=answer.type, session_id=session.id)


def _add_changes(router: APIRouter, manager: SessionManager) -> None:
    @router.get("/api/v1/sessions/{identity}", responses=errors(FIND))
    async def show_session(identity: str) -> SessionState:
        """One session in brief."""
        return SessionState.model_validate(manager.sessions.find(identity).describe())

    @router.patch("/api/v1/sessions/{identity}/edits", responses=errors(FIND, UNKNOWN_FACE, UNUSABLE_EDITS))
    async def change_edits(identity: str, request: EditsRequest) -> EditsAnswer:
        """Change some strengths of a running session; the others stay."""
        session = manager.sessions.find(identity)
        done = session.apply(request)
        frame = await session.applied.expect(done.rev) if request.wait else None
        return EditsAnswer(applied_frame=frame, **session.describe_edits(), **asdict(done))

    @router.get("/api/v1/sessions/{identity}/faces", responses=errors(FIND))
    async def list_faces(identity: str) -> list[FaceState]:
        """The faces in the newest picture."""
        return [FaceState.model_validate(face) for face in manager.sessions.find(identity).describe_faces()]

    @router.post(
        "/api/v1/sessions/{identity}/candidates",
        status_code=204,
        responses=errors(FIND, {422: ("bad_candidate", "too_many_candidates")}),
    )
    async def add_candidates(identity: str, request: CandidatesRequest) -> None:
        """Take ICE candidates that the client found after its offer."""
        session = manager.sessions.find(identity)
        try:
            session.resource.add_candidates(
                [
                    parse_candidate(one.candidate, one.sdpMid, one.sdpMLineIndex if one.sdpMid is None else None)
                    for one in request.candidates
                    if one.candidate
                ]
            )
        except ValueError as error:
            raise ApiError(422, "bad_candidate", str(error), "Send candidates as toJSON() gives them.") from error

    @router.post("/api/v1/sessions/{identity}/reanchor", status_code=204, responses=errors(FIND))
    async def reanchor(identity: str) -> None:
        """Take light, colour and texture, which all frames share, afresh from the next ones."""
        manager.sessions.find(identity).reanchor()


def _add_ends(router: APIRouter, manager: SessionManager) -> None:
    @router.delete("/api/v1/sessions/{identity}", status_code=204, responses=errors(FIND))
    async def delete_session(identity: str) -> None:
        """End a session."""
        await manager.sessions.find(identity).end("deleted")

    @router.post("/api/v1/sessions/{identity}/close", status_code=204, responses=errors(FIND))
    async def close_session(identity: str) -> None:
        """End a session, for navigator.sendBeacon, which can only POST."""
        await manager.sessions.find(identity).end("left")


def _add_views(router: APIRouter, shared: SharedServices, manager: SessionManager) -> None:
    @router.get("/api/v1/sessions/{identity}/stats", responses=errors(FIND))
    async def show_stats(identity: str) -> SessionNumbers:
        """A session in numbers, over the last seconds."""
        return SessionNumbers.model_validate(manager.sessions.find(identity).describe_stats())

    @router.get(
        "/api/v1/sessions/{identity}/snapshot.jpg",
        response_class=Response,
        responses={**JPEG, **errors(FIND, {404: ("no_picture_yet",)})},
    )
    async def snapshot(identity: str) -> Response:
        """The newest picture sent, as JPEG; signed as edited with AI where the server has credentials and it is."""
        session = manager.sessions.find(identity)
        frame = session.outputs.last_frame
        if frame is None:
            raise ApiError(404, "no_picture_yet", "No picture has been sent yet.", "Try again in a moment.")
        edits = {name: strength for name, strength in session.edits.targets.items() if strength}
        credentials = shared.credentials if edits else None
        return Response(await asyncio.to_thread(_jpeg, frame, credentials, edits), media_type="image/jpeg")


def _add_offers(router: APIRouter, shared: SharedServices) -> None:
    @router.get("/api/v1/ice-servers", response_model_exclude_none=True)
    async def list_ice_servers() -> IceServers:
        """For RTCPeerConnection; empty where none is configured."""
        return IceServers.model_validate(
            {"ice_servers": [server.describe() for server in shared.config.relay.for_client()]}
        )


def _add_probes(router: APIRouter, shared: SharedServices, manager: SessionManager, readiness: Readiness) -> None:
    @router.get("/healthz")
    async def healthz() -> Status:
        """200 while the server runs."""
        return Status(status="ok")

    @router.get("/readyz", responses=errors(READY, {503: ("draining",)}))
    async def readyz() -> Status:
        """200 while sessions can be opened, 503 before and while the server drains."""
        readiness.check()
        manager.admission.check_draining()
        return Status(status="ready")

    @router.get("/metrics", response_class=Response, responses=TEXT)
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(shared.metrics.text(), media_type=Metrics.MEDIA_TYPE)

    @router.get("/version")
    async def show_version() -> VersionState:
        """What runs here."""
        return VersionState(
            version=version_of("rigid-live"),
            profile=shared.config.profile,
            engine=shared.config.engine,
            aiortc=version_of("aiortc"),
            python=platform.python_version(),
            recordings=shared.recordings is not None,
        )


def _jpeg(frame: VideoFrame, credentials: Credentials | None, edits: dict[str, float]) -> bytes:
    done, data = cv2.imencode(".jpg", to_rgb(frame)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, SNAPSHOT_QUALITY])
    assert done
    return data.tobytes() if credentials is None else sign(data.tobytes(), "image/jpeg", credentials, edits)


def version_of(package: str) -> str:
    """What is installed of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
