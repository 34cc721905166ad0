"""How recordings are begun, ended and fetched over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Response
from starlette.responses import FileResponse

from server.access.api_keys import caller
from server.errors import ApiError
from server.http.error_catalogue import FIND, Codes, errors
from server.recording.recordings import NO_RECORDING, Recordings
from server.recording.unfinished_films import MEDIA_TYPE
from server.session.manager import SessionManager
from server.session.request_models import RecordingState
from server.session.shared_services import SharedServices
from server.session.states import State

RECORDINGS_OFF: Codes = {403: ("recordings_off",)}
BEGIN: Codes = {409: ("recording",), 507: ("disk_full", "quota_full")}
FILM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The film.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
PATH = "/api/v1/sessions/{identity}/recording"


def add_recordings(router: APIRouter, shared: SharedServices, manager: SessionManager) -> None:
    """Add the routes of the recordings."""

    @router.post(PATH, status_code=201, responses=errors(FIND, RECORDINGS_OFF, BEGIN))
    async def start_recording(identity: str, response: Response) -> RecordingState:
        """Begin to record what a session sends; ends by itself at the server's limits, or with the session."""
        recordings = _require_recordings(shared)
        session = manager.sessions.find(identity)
        if session.state == State.CLOSED:
            raise ApiError(410, "session_closed", "The session is ending.", "Open a new one.")
        recording = recordings.start(session.id, session.owner, sound=session.has_sound)
        session.outputs.recording = recording
        response.headers["Location"] = f"/api/v1/sessions/{session.id}/recording"
        return RecordingState.model_validate(recording.describe())

    @router.delete(PATH, responses=errors(RECORDINGS_OFF, {404: ("no_recording",)}))
    async def stop_recording(identity: str) -> RecordingState:
        """End a recording; answers once its file is complete."""
        recording = _require_recordings(shared).find(identity, caller.get())
        recording.stop("stopped")
        await recording.wait()
        return RecordingState.model_validate(recording.describe())

    @router.get(
        PATH,
        response_class=FileResponse,
        responses={**FILM, **errors(RECORDINGS_OFF, {404: ("no_recording",), 409: ("recording",)})},
    )
    async def fetch_recording(identity: str) -> FileResponse:
        """The newest complete recording of a session, as mp4; after the session's end too."""
        recording = _require_recordings(shared).find(identity, caller.get())
        if not recording.finished.done():
            raise ApiError(409, "recording", "The recording is not complete yet.", "DELETE …/recording ends it.")
        if not await asyncio.to_thread(recording.path.is_file):
            raise ApiError(404, "no_recording", NO_RECORDING, "It held no picture, failed, or was taken away.")
        return FileResponse(recording.path, media_type=MEDIA_TYPE, filename=recording.path.name)


def _require_recordings(shared: SharedServices) -> Recordings:
    """ApiError 403 where this server keeps no recordings."""
    if shared.recordings is None:
        message = "This server keeps no recordings."
        raise ApiError(403, "recordings_off", message, "Start it with --recordings FOLDER.")
    return shared.recordings
