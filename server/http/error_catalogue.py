"""Every error the API answers with: its status, its code, and what it says, as the description states them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

Codes = Mapping[int, tuple[str, ...]]

ERRORS: dict[int, dict[str, tuple[str, str]]] = {
    400: {
        "bad_json": ("The body is not JSON.", "Check quotes and brackets."),
        "bad_sdp": ("The SDP is no usable offer: it cannot be parsed.", "Send pc.localDescription unchanged."),
        "no_video": ("The offer has no video line.", "Add a camera track before the offer."),
        "no_common_codec": ("None of the video codecs offered is known here.", "Offer one of: H264, VP8."),
    },
    401: {"unauthorized": ("This server asks for a key.", "Send Authorization: Bearer KEY.")},
    403: {
        "foreign_origin": (
            "Pages of other origins may change nothing on this server.",
            "Start it with --allow-origin ORIGIN for pages of yours.",
        ),
        "uploads_off": ("This server takes no attributes and presets from clients.", "Start it with --allow-uploads."),
        "recordings_off": ("This server keeps no recordings.", "Start it with --recordings FOLDER."),
    },
    404: {
        "unknown_session": ("There is no session 'Wb7w0nLS0bS0x3iE'.", "GET /api/v1/sessions lists them."),
        "unknown_face": ("There is no face 3; there are: 1, 2.", "GET /api/v1/sessions/{id}/faces lists them."),
        "unknown_attribute": ("There is no attribute 'wings'.", "GET /api/v1/attributes lists them all."),
        "unknown_preset": ("There is no preset 'mine' of your own.", "GET /api/v1/presets lists them all."),
        "no_picture_yet": ("No picture has been sent yet.", "Try again in a moment."),
        "no_pictures": ("This server has no pictures of the attributes.", ""),
        "no_recording": ("There is no recording of this session.", "POST …/recording begins one."),
    },
    408: {
        "too_slow": ("The file did not come within 60 seconds.", "Import it with rigid-live attributes import."),
    },
    409: {
        "recording": ("This session is being recorded already.", "DELETE …/recording ends that."),
        "name_taken": ("There is an attribute named 'smile' already.", "Give another ?name=."),
        "library_full": ("There are 500 attributes already.", "Remove some."),
    },
    410: {"session_closed": ("The session has ended: it was closed over the API.", "Open a new one.")},
    412: {"precondition_failed": ("The request is for another ICE session.", "Send the ETag as it came.")},
    413: {
        "body_too_large": ("The body is larger than 262144 bytes.", "An offer and its edits need far less."),
        "file_too_large": ("The file is larger than 64 MiB.", "Import it with rigid-live attributes import."),
    },
    415: {"unsupported_media_type": ("The body is text/plain, which is not taken here.", "Send application/json.")},
    421: {
        "unknown_host": (
            "This server does not answer for faces.example.org.",
            "Start it with --allow-host NAME where that is its name.",
        )
    },
    422: {
        "invalid_request": (
            "Bad value for ramp_ms: input should be less than or equal to 60000.",
            "See /openapi.json for what is expected.",
        ),
        "bad_edit": ("There is no attribute 'wings'.", "GET /api/v1/attributes lists them all."),
        "unknown_preset": ("There is no preset 'grim'.", "GET /api/v1/presets lists them all."),
        "bad_candidate": ("'candidate:1' is no ICE candidate.", "Send candidates as toJSON() gives them."),
        "too_many_candidates": (
            "This session has had 90 candidates; 20 more are too many, 100 are taken.",
            "Send each address of the client once.",
        ),
        "bad_attribute": (
            "The file holds no edit for this generator.",
            "rigid-live attributes import --help tells what files are taken.",
        ),
        "bad_preset": ("A preset's name is in lower case.", "GET /api/v1/presets shows what they look like."),
        "no_ice_restart": (
            "An ICE session cannot be begun anew here.",
            "Open a new session with your resume token, or POST again.",
        ),
    },
    428: {"precondition_required": ("The request names no ICE session.", "Send If-Match: ETAG.")},
    429: {
        "too_many_requests": ("More than 60 requests a minute came from you.", "Wait for Retry-After seconds."),
        "key_full": ("All 2 sessions of this key are taken.", "Close one of them."),
    },
    503: {
        "not_ready": ("The networks are being loaded.", "Try again in a moment."),
        "engine_failed": ("The engine did not start: out of memory.", "Restart the server."),
        "draining": ("The server is about to end.", "Try again in a moment."),
        "server_full": ("All 4 places are taken.", "Try again later."),
        "no_capacity": (
            "This machine is busy: another session would leave each 2.5 pictures a second.",
            "Try again later.",
        ),
        "no_port": ("No UDP port is free for the video.", "Widen --udp-port-range."),
        "too_many_viewers": ("All 8 viewers' places are taken.", "Try again later."),
        "busy": ("4 files are coming already.", "Try again in a moment."),
        "worker_lost": ("The session's worker does not answer.", "Open a new session with your resume token."),
    },
    507: {
        "disk_full": ("The disk of the recordings has only 100 MB left.", "Take old recordings away."),
        "quota_full": ("The recordings may take 1000 MB, and 900 are taken.", "Take old recordings away."),
    },
}

MEANINGS = {
    400: "The body cannot be read.",
    401: "The server has keys, and the request lacks one of them.",
    403: "The server was not started for it, or not for pages of that origin.",
    404: "There is no such thing, or it belongs to another key.",
    408: "The body did not come in time.",
    409: "It is there already, or not yet.",
    410: "It has ended.",
    412: "If-Match names another ICE session.",
    413: "The body is too large.",
    415: "The body is of another type.",
    421: "The server is not called so.",
    422: "The values cannot be used.",
    428: "If-Match is missing.",
    429: "Too many at a time; wait for Retry-After seconds.",
    507: "There is no room to keep it.",
    503: "Not now; try again after Retry-After seconds.",
}

FIND: Codes = {404: ("unknown_session",), 410: ("session_closed",), 503: ("worker_lost",)}
"""The last one only where many machines serve."""
OPEN: Codes = {
    400: ("bad_sdp", "no_video", "no_common_codec"),
    422: ("bad_edit",),
    429: ("key_full",),
    503: ("not_ready", "engine_failed", "draining", "server_full", "no_capacity", "no_port"),
}
READY: Codes = {503: ("not_ready", "engine_failed")}
TRICKLE: Codes = {
    400: ("bad_sdp",),
    412: ("precondition_failed",),
    413: ("body_too_large",),
    415: ("unsupported_media_type",),
    422: ("no_ice_restart", "too_many_candidates"),
    428: ("precondition_required",),
}


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs; it does not change.", examples=["unknown_session"])
    message: str = Field(description="One sentence for people.", examples=["There is no session 'x'."])
    hint: str = Field(description="What to do about it; may be empty.", examples=["Open a new one."])


class ErrorAnswer(BaseModel):
    """How every failure is answered."""

    error: ErrorDetail


def errors(*groups: Codes) -> dict[int | str, dict[str, Any]]:
    """What a route may answer with besides its success, as FastAPI's `responses` takes it."""
    merged: dict[int, list[str]] = {}
    for group in groups:
        for status, codes in group.items():
            merged.setdefault(status, []).extend(code for code in codes if code not in merged.get(status, []))
    return {status: error_response(status, codes) for status, codes in sorted(merged.items())}


def error_response(status: int, codes: list[str]) -> dict[str, Any]:
    """Describe one status with an example for each of its codes."""
    examples = {code: {"value": {"error": example(status, code)}} for code in codes}
    return {
        "model": ErrorAnswer,
        "description": MEANINGS[status],
        "content": {"application/json": {"examples": examples}},
    }


def example(status: int, code: str) -> dict[str, str]:
    """What an error looks like."""
    message, hint = ERRORS[status][code]
    return {"code": code, "message": message, "hint": hint}
