"""Pictures of what the attributes do, rendered when first asked for and kept on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from rigid.arrays import Pixels
from rigid.atomic_files import replacing
from rigid.discovery.strip import strip_strengths, to_jpeg
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from server.errors import ApiError
from server.frames.worker import InferenceWorker

Paint = Callable[[Attribute, float], Pixels]
"""An attribute at a strength on a generated face: RGB (S, S, 3)."""
RENDER_SECONDS = 60.0


@dataclass(frozen=True)
class Gallery:
    """What paints the attributes, and where their pictures are kept."""

    paint: Paint
    folder: Path
    """Its name should say which generator paints."""


@dataclass(frozen=True)
class _Order:
    attribute: Attribute
    strength: float
    done: Future[Pixels]


class AttributePreviews:
    """Renders one picture at a time, as a turn among the sessions' frames, so that these hardly wait."""

    def __init__(self, paint: Paint, library: AttributeLibrary, folder: Path, worker: InferenceWorker) -> None:
        self._paint = paint
        self._library = library
        self._folder = folder
        self._lane = worker.lane(self._process)
        self._turn = asyncio.Lock()
        self._making: dict[str, asyncio.Task[bytes]] = {}

    async def jpeg(self, name: str) -> bytes:
        """The strip of the attribute `name`; ValueError where there is none, ApiError 503 where it takes too long."""
        attribute = self._library[name]
        path = self._folder / f"{name}-{attribute.digest}.jpg"
        if await asyncio.to_thread(path.is_file):
            return await asyncio.to_thread(path.read_bytes)
        if path.name not in self._making:
            task = asyncio.create_task(self._make(attribute, path))
            self._making[path.name] = task
            task.add_done_callback(lambda _: self._making.pop(path.name, None))
        # One client that goes away must not end what others wait for.
        return await asyncio.shield(self._making[path.name])

    async def _make(self, attribute: Attribute, path: Path) -> bytes:
        try:
            async with self._turn, asyncio.timeout(RENDER_SECONDS):
                pictures = [await self._render(attribute, strength) for strength in strip_strengths(attribute)]
        except TimeoutError as error:
            raise ApiError(503, "busy", "The picture could not be rendered in time.", "Try again later.") from error
        data = await asyncio.to_thread(to_jpeg, pictures)
        await asyncio.to_thread(_keep, path, attribute.name, data)
        return data

    async def _render(self, attribute: Attribute, strength: float) -> Pixels:
        order = _Order(attribute, strength, Future())
        self._lane.offer(order)
        return await asyncio.wrap_future(order.done)

    def _process(self, order: _Order) -> None:
        if not order.done.set_running_or_notify_cancel():
            return
        try:
            order.done.set_result(self._paint(order.attribute, order.strength))
        except Exception as error:  # whatever an engine raises, the request that waits is told
            order.done.set_exception(error)


def _keep(path: Path, name: str, data: bytes) -> None:
    """Write a strip in place of those that the attribute had before it changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_bytes(data)
    for old in path.parent.glob(f"{name}-????????????.jpg"):
        if old != path:
            old.unlink(missing_ok=True)
