"""What is on offer over HTTP: attributes and presets."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from rigid.edits.attribute import Attribute
from server.errors import ApiError, stated_type
from server.http.error_catalogue import Codes, errors
from server.http.response_models import AttributeState
from server.session.request_models import PresetRequest, PresetState, UploadQuery
from server.session.shared_services import SharedServices
from server.uploads.uploads import Uploads

UPLOADS_OFF: Codes = {403: ("uploads_off",)}
UPLOAD: Codes = {
    **UPLOADS_OFF,
    408: ("too_slow",),
    409: ("name_taken", "library_full"),
    413: ("file_too_large",),
    415: ("unsupported_media_type",),
    422: ("bad_attribute",),
    503: ("busy",),
}
BINARY = {"type": "string", "format": "binary"}
FILE = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": BINARY}}}}
JPEG: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {"image/jpeg": {"schema": BINARY}}}
}
LISTED = "GET /api/v1/attributes lists them all."


def add_attributes(router: APIRouter, shared: SharedServices) -> None:
    """Add the routes of the attributes."""

    @router.get("/api/v1/attributes")
    async def list_attributes() -> list[AttributeState]:
        """The edits on offer: name, group, range and the address of a picture of each."""
        return [_describe(shared, attribute) for attribute in shared.library]

    @router.get(
        "/api/v1/attributes/{name}/strip.jpg",
        response_class=Response,
        responses={**JPEG, **errors({404: ("unknown_attribute", "no_pictures"), 503: ("busy",)})},
    )
    async def show_strip(name: str) -> Response:
        """A generated face with the attribute at five strengths, from the least to the greatest, as JPEG."""
        if name not in shared.library:
            raise ApiError(404, "unknown_attribute", f"There is no attribute {name!r}.", LISTED)
        if shared.previews is None:
            raise ApiError(404, "no_pictures", "This server has no pictures of the attributes.")
        picture = await shared.previews.jpeg(name)
        # Its address changes with the attribute.
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=604800"})

    @router.post("/api/v1/attributes", status_code=201, responses=errors(UPLOAD), openapi_extra=FILE)
    async def add_attribute(
        request: Request, response: Response, asked: Annotated[UploadQuery, Query()]
    ) -> AttributeState:
        """Offer one more attribute: its file is the body; all sessions can use it at once.

        Files are taken as `rigid-live attributes import` takes them.
        """
        uploads = _require_uploads(shared)
        if stated_type(request) != "application/octet-stream":
            message = "The body must be the file itself."
            raise ApiError(415, "unsupported_media_type", message, "Send application/octet-stream.")
        attribute = await uploads.add(request.stream(), asked.filename, asked.as_request())
        response.headers["Location"] = f"/api/v1/attributes/{attribute.name}"
        return _describe(shared, attribute)

    @router.get("/api/v1/attributes/{name}", responses=errors({404: ("unknown_attribute",)}))
    async def show_attribute(name: str) -> AttributeState:
        """One edit on offer."""
        if name not in shared.library:
            raise ApiError(404, "unknown_attribute", f"There is no attribute {name!r}.", LISTED)
        return _describe(shared, shared.library[name])


def _describe(shared: SharedServices, attribute: Attribute) -> AttributeState:
    """Describe it as a client needs it; without the address of a picture where this server has none."""
    pictures = {} if shared.previews is not None else {"strip": None}
    return AttributeState.model_validate({**attribute.describe(), **pictures})


def add_presets(router: APIRouter, shared: SharedServices) -> None:
    """Add the routes of the presets."""

    @router.get("/api/v1/presets")
    async def list_presets() -> list[PresetState]:
        """The looks on offer; `PATCH …/edits {"preset": NAME}` cross-fades to one."""
        return [PresetState.model_validate(preset.describe()) for preset in shared.presets]

    @router.put("/api/v1/presets/{name}", responses=errors(UPLOADS_OFF, {422: ("bad_preset",)}))
    async def save_preset(name: str, request: PresetRequest) -> PresetState:
        """Keep a preset on this server, or change one that was kept."""
        _require_uploads(shared)
        try:
            saved = await asyncio.to_thread(shared.presets.save, name, request.model_dump(exclude_none=True))
        except ValueError as error:
            raise ApiError(422, "bad_preset", str(error), "GET /api/v1/presets shows what they look like.") from error
        return PresetState.model_validate(saved.describe())

    @router.delete("/api/v1/presets/{name}", status_code=204, responses=errors(UPLOADS_OFF, {404: ("unknown_preset",)}))
    async def remove_preset(name: str) -> None:
        """Forget a preset that was kept."""
        _require_uploads(shared)
        try:
            await asyncio.to_thread(shared.presets.remove, name)
        except ValueError as error:
            raise ApiError(404, "unknown_preset", str(error), "GET /api/v1/presets lists them all.") from error


def _require_uploads(shared: SharedServices) -> Uploads:
    """ApiError 403 where this server does not take what clients would leave on it."""
    if shared.uploads is None:
        message = "This server takes no attributes and presets from clients."
        raise ApiError(403, "uploads_off", message, "Start it with --allow-uploads.")
    return shared.uploads
