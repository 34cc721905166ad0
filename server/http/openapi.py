"""The API's description: what FastAPI tells of the routes, with examples, errors, keys and headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from server.access.middleware import PROTECTED
from server.http.error_catalogue import error_response
from server.http.openapi_examples import ANSWERS, PARAMETERS, REQUESTS

DESCRIPTION = """Edits faces in live video. A session takes a camera's video over WebRTC and sends it back edited; its
edits are changed here, or over its data channel `control`. Failures carry their status and
`{"error": {"code", "message", "hint"}}`."""
TAGS = {
    "sessions": "Open, edit, watch and end sessions.",
    "recordings": "Films of sessions, where the server keeps them.",
    "attributes": "The edits on offer.",
    "presets": "Named sets of edits.",
    "standard clients": "WHIP (RFC 9725) and WHEP.",
    "server": "How it is.",
}
HEADERS = {
    "Location": "The address of what was made.",
    "ETag": "Names the ICE session, for If-Match.",
    "Accept-Patch": "What PATCH takes.",
    "Link": "ICE servers (RFC 9725 section 4.6).",
    "X-Session-Id": "The session's public id.",
    "Retry-After": "Seconds to wait.",
}
GIVEN = {
    "open_session": ("Location",),
    "start_recording": ("Location",),
    "add_attribute": ("Location",),
    "send": ("Location", "ETag", "Accept-Patch", "Link", "X-Session-Id"),
    "watch": ("Location", "ETag", "Accept-Patch", "Link"),
}
"""Headers of successes, by the operation's name."""
KEY = {"type": "http", "scheme": "bearer", "description": "One of the server's --api-key, where it has any."}
OPTIONAL_KEY: list[dict[str, list[str]]] = [{"key": []}, {}]
ERROR_SCHEMA = {"$ref": "#/components/schemas/ErrorAnswer"}
OWN_ERRORS = "HTTPValidationError"

Operation = dict[str, Any]


def add_description(app: FastAPI, version: str) -> None:
    """Have `app` describe itself in full at /openapi.json."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app, version)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _describe(app: FastAPI, version: str) -> dict[str, Any]:
    licence = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    tags = [{"name": name, "description": text} for name, text in TAGS.items()]
    description = get_openapi(
        title=app.title, version=version, description=DESCRIPTION, routes=app.routes, tags=tags, license_info=licence
    )
    description["components"]["securitySchemes"] = {"key": KEY}
    for path, method, operation in _operations(description):
        _complete(path, method, operation)
    for unused in (OWN_ERRORS, "ValidationError"):
        description["components"]["schemas"].pop(unused, None)
    return description


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _complete(path: str, method: str, operation: Operation) -> None:
    operation["tags"] = [_tag(path)]
    _state_errors(path, method, operation)
    name = operation["operationId"]
    for parameter in operation.get("parameters", []):
        if parameter["name"] in PARAMETERS:
            parameter["example"] = PARAMETERS[parameter["name"]]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if name in REQUESTS:
            content["example"] = REQUESTS[name]
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            _state_success(name, answer)
        elif status in ("429", "503"):
            answer["headers"] = _headers(("Retry-After",))


def _state_success(name: str, answer: dict[str, Any]) -> None:
    for content in answer.get("content", {}).values():
        if name in ANSWERS:
            content["example"] = ANSWERS[name]
    if name in GIVEN:
        answer["headers"] = _headers(GIVEN[name])


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in names}


def _state_errors(path: str, method: str, operation: Operation) -> None:
    """What every route of its kind may answer with; FastAPI's own shape of a 422 is never sent."""
    responses = operation["responses"]
    if OWN_ERRORS in str(responses.get("422")):
        del responses["422"]
    body = operation.get("requestBody", {}).get("content", {})
    if "application/json" in body:
        _add(operation, 400, "bad_json")
        _add(operation, 408, "too_slow")
        _add(operation, 413, "body_too_large")
        _add(operation, 415, "unsupported_media_type")
        _add(operation, 422, "invalid_request")
    if any(one["in"] == "query" for one in operation.get("parameters", [])):
        _add(operation, 422, "invalid_request")
    if any(path.startswith(prefix) for prefix in PROTECTED):
        operation["security"] = OPTIONAL_KEY
        _add(operation, 401, "unauthorized")
        _add(operation, 429, "too_many_requests")
    _add(operation, 421, "unknown_host")
    if method != "get":
        _add(operation, 403, "foreign_origin")
    operation["responses"] = dict(sorted(responses.items()))


def _add(operation: Operation, status: int, code: str) -> None:
    stated = error_response(status, [code])
    answer = operation["responses"].setdefault(
        str(status),
        {"description": stated["description"], "content": {"application/json": {"schema": ERROR_SCHEMA}}},
    )
    examples = answer["content"]["application/json"].setdefault("examples", {})
    examples |= stated["content"]["application/json"]["examples"]


def _tag(path: str) -> str:
    if path.endswith("/recording"):
        return "recordings"
    if path.startswith(("/whip", "/whep")):
        return "standard clients"
    if path.startswith("/api/v1/sessions") or path == "/offer":
        return "sessions"
    return next((name for name in ("attributes", "presets") if path.startswith(f"/api/v1/{name}")), "server")
