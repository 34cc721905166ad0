"""Attributes that clients bring: read in a process of their own, then offered to all sessions at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from rigid.atomic_files import replacing
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_header import check_name
from rigid.edits.importing import ImportRequest, Target, check_free
from rigid.edits.library import MOST_ATTRIBUTES, AttributeLibrary
from server.config import ServerConfig
from server.errors import ApiError

READ_SECONDS = 90.0
MOST_AT_ONCE = 4
"""Files that may be on their way, one of them being read."""
Given = TypeVar("Given")
FILES_HINT = "rigid-live attributes import --help tells what files are taken."


@asynccontextmanager
async def place_for(places: asyncio.Semaphore) -> AsyncIterator[None]:
    """Take one of the places for files that come; ApiError 503, before a byte is read, where there is none."""
    if places.locked():
        message = f"{MOST_AT_ONCE} files are coming already."
        raise ApiError(503, "busy", message, "Try again in a moment.", {"Retry-After": "5"})
    async with places:
        yield


async def within_time(receiving: Awaitable[Given], seconds: float) -> Given:
    """What `receiving` gives; ApiError 408 where that takes longer than so many seconds."""
    try:
        return await asyncio.wait_for(receiving, seconds)
    except TimeoutError:
        message = f"The file did not come within {seconds:g} seconds."
        raise ApiError(408, "too_slow", message, "Import it with rigid-live attributes import.") from None


class Uploads:
    """Takes files into `folder`, from where they are there after a restart too.

    Several may come at once, however slowly; they are read one after another.
    """

    def __init__(self, library: AttributeLibrary, target: Target, config: ServerConfig) -> None:
        self._library = library
        self._target = target
        self._limit, self._seconds = config.max_upload_bytes, config.upload_seconds
        self._busy = asyncio.Lock()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def add(self, body: AsyncIterator[bytes], filename: str, request: ImportRequest) -> Attribute:
        """Offer the attribute in a file's bytes.

        ApiError 408 for a file that does not come in time, 409 for a name that is taken, 413 for too long a file, 422
        for one that holds no edit for this generator, 503 while too many others are coming.
        """
        self._check_name(request)
        async with place_for(self._places):
            with TemporaryDirectory(prefix="rigid-live-") as folder:
                path = Path(folder) / "upload" / _safe_name(filename)
                path.parent.mkdir()
                await within_time(self._receive(body, path), self._seconds)
                async with self._busy:
                    # another one of that name may have been read meanwhile
                    self._check_name(request)
                    name = await self._import(path, request)
                    return await asyncio.to_thread(self._offer, name)

    @property
    def names(self) -> frozenset[str]:
        """The names of attributes that clients brought, and that a user imported."""
        return frozenset(attribute.name for attribute in self._library if attribute.custom)

    def file(self, name: str) -> bytes:
        """The file of one of them; OSError where it is gone."""
        return self._path(name).read_bytes()

    async def take(self, name: str, file: bytes) -> None:
        """Offer what another server read, by its file, unless there is one of that name.

        ValueError where it does not fit this server's networks, OSError where it cannot be written.
        """
        async with self._busy:
            if name not in self._library:
                await asyncio.to_thread(self._take, name, file)

    def _take(self, name: str, file: bytes) -> None:
        check_name(name, "The attribute")
        # Servers of one machine share the folder.
        if not self._path(name).exists():
            self._target.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._path(name)) as part:
                part.write_bytes(file)
        self._offer(name)

    def _path(self, name: str) -> Path:
        return self._target.folder / f"{name}.safetensors"

    def _check_name(self, request: ImportRequest) -> None:
        if len(self._library) >= MOST_ATTRIBUTES:
            raise ApiError(409, "library_full", f"There are {MOST_ATTRIBUTES} attributes already.", "Remove some.")
        if request.name is None:
            return
        taken = request.name in self._library
        try:
            check_free(request.name, self._library.names)
        except ValueError as error:
            status, code = (409, "name_taken") if taken else (422, "bad_attribute")
            raise ApiError(status, code, str(error), "Give another ?name=.") from error

    async def _receive(self, body: AsyncIterator[bytes], path: Path) -> None:
        size = 0
        with path.open("wb") as file:
            async for piece in body:
                size += len(piece)
                if size > self._limit:
                    raise too_large(self._limit)
                await asyncio.to_thread(file.write, piece)

    async def _import(self, path: Path, request: ImportRequest) -> str:
        """The name of the attribute that is now in the library's folder."""
        target = self._target
        job = {
            "path": str(path),
            "request": asdict(request),
            "folder": str(target.folder),
            "n_codes": target.n_codes,
            "code_size": target.code_size,
            "family": target.family,
            "taken": self._library.names,
        }
        told = await _in_own_process(json.dumps(job).encode())
        if "error" in told:
            raise ApiError(422, "bad_attribute", told["error"], FILES_HINT)
        return told["name"]

    def _offer(self, name: str) -> Attribute:
        attribute = self._target.load(self._path(name))
        self._library.add(attribute)
        return attribute


def too_large(limit: int) -> ApiError:
    """Refuse a file of more than `limit` bytes with 413."""
    message = f"The file is larger than {limit >> 20} MiB."
    return ApiError(413, "file_too_large", message, "Import it with rigid-live attributes import.")


async def _in_own_process(job: bytes) -> dict[str, str]:
    """What `rigid.edits.importing` says of a job."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # Not asyncio's own way, which needs the policy of this process to be asyncio's too.
    process = await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, "-m", "rigid.edits.importing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    output = b""
    try:
        with suppress(subprocess.TimeoutExpired):
            output, _ = await asyncio.to_thread(process.communicate, job, READ_SECONDS)
    finally:
        # Too slow, or the server ends: nothing may go on reading a stranger's file.
        if process.poll() is None:
            process.kill()
            await asyncio.to_thread(process.wait)
    if process.returncode != 0 or not output:
        return {"error": "The file cannot be read within the memory and time that an edit needs."}
    told: dict[str, str] = json.loads(output)
    return told


def _safe_name(filename: str) -> str:
    """What a client calls its file, without a way to anywhere else."""
    kept = "".join(character for character in filename if character.isalnum() or character in "._-")
    return kept.lstrip(".")[-100:] or "upload"
