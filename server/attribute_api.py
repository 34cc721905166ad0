"""What is on offer over HTTP: attributes and presets."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from rigid.attributes.library import Description
from server.errors import ApiError
from server.schemas import PresetRequest, PresetState
from server.session import Shared


def add_attributes(router: APIRouter, shared: Shared) -> None:
    """The routes of the attributes."""

    @router.get("/api/v1/attributes")
    async def list_attributes() -> list[Description]:
        """The edits on offer: name, group, range and the address of a picture of each."""
        return shared.library.describe()


def add_presets(router: APIRouter, shared: Shared) -> None:
    """The routes of the presets."""

    @router.get("/api/v1/presets")
    async def list_presets() -> list[PresetState]:
        """The looks on offer; `PATCH …/edits {"preset": NAME}` cross-fades to one."""
        return [PresetState.model_validate(preset.describe()) for preset in shared.presets]

    @router.put("/api/v1/presets/{name}")
    async def save_preset(name: str, request: PresetRequest) -> PresetState:
        """Keep a preset on this server, or change one that was kept."""
        check_allowed(shared)
        try:
            saved = await asyncio.to_thread(shared.presets.save, name, request.model_dump(exclude_none=True))
        except ValueError as error:
            raise ApiError(422, "bad_preset", str(error), "GET /api/v1/presets shows what they look like.") from error
        return PresetState.model_validate(saved.describe())

    @router.delete("/api/v1/presets/{name}", status_code=204)
    async def remove_preset(name: str) -> None:
        """Forget a preset that was kept."""
        check_allowed(shared)
        try:
            await asyncio.to_thread(shared.presets.remove, name)
        except ValueError as error:
            raise ApiError(404, "unknown_preset", str(error), "GET /api/v1/presets lists them all.") from error


def check_allowed(shared: Shared) -> None:
    """ApiError 403 where this server does not take what clients would leave on it."""
    if not shared.config.allow_uploads:
        message = "This server takes no attributes and presets from clients."
        raise ApiError(403, "uploads_off", message, "Start it with --allow-uploads.")
