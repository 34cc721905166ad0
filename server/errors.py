"""Failures as clients see them: a real status and `{"error": {"code", "message", "hint"}}`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

logger = logging.getLogger(__name__)


class ApiError(Exception):
    """A request that cannot be served; `message` is one sentence, `hint` says what to do."""

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = dict(headers or {})

    def describe(self) -> dict[str, str]:
        """The `error` object of the answer."""
        return {"code": self.code, "message": self.message, "hint": self.hint}

    def response(self) -> JSONResponse:
        """Make the whole answer."""
        return JSONResponse({"error": self.describe()}, self.status, headers=self.headers)


HINTS = {
    404: "See /openapi.json for what there is.",
    405: "See the Allow header or /openapi.json for the methods that work here.",
}

BAD_JSON = ApiError(400, "bad_json", "The body is not JSON.", "Check quotes and brackets.")


def add_error_handlers(app: FastAPI) -> None:
    """Give every failure of `app` the one shape, those of the framework included."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_fault)


async def _on_api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return error.response()


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if status == HTTPStatus.BAD_REQUEST:  # all that the framework itself calls bad is a body it cannot decode
        return BAD_JSON.response()
    code = status.phrase.lower().replace(" ", "_")
    messages = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.url.path} does not take {request.method}.",
    }
    message = messages.get(status, str(error.detail))
    return ApiError(status, code, message, HINTS.get(status, ""), error.headers).response()


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return BAD_JSON.response()
    in_body = any(one["loc"][:1] == ("body",) for one in error.errors())
    if in_body and stated_type(request) != "application/json" and int(request.headers.get("content-length") or 1):
        return wrong_type(request, "application/json").response()
    return invalid(error.errors()).response()


def stated_type(request: Request) -> str:
    """The media type that a request states of its body, without parameters; empty where it states none."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def wrong_type(request: Request, wanted: str) -> ApiError:
    """Refuse a body for its type."""
    message = f"The body is {stated_type(request) or 'of no stated type'}, which is not taken here."
    return ApiError(415, "unsupported_media_type", message, f"Send {wanted}.")


def invalid(problems: object) -> ApiError:
    """What pydantic found wrong, its first finding as one sentence."""
    assert isinstance(problems, list | tuple)
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path")) or "the body"
    message = f"Bad value for {place}: {first['msg'][:1].lower()}{first['msg'][1:]}."
    return ApiError(422, "invalid_request", message, "See /openapi.json for what is expected.")


async def _on_fault(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return ApiError(500, "internal_error", "The server failed on this request.", "Its log says why.").response()
