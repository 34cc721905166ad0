"""An mp4 file that was not finished: up to where it is whole (ISO/IEC 14496-12, movie fragments)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

HEADER_BYTES = 8
LONG_HEADER_BYTES = 16


def cut_to_whole(path: Path) -> bool:
    """Cut what follows the last whole fragment off a file; False, and nothing done, where there is none in it.

    Works where the disk is full. OSError where the file cannot be read or cut.
    """
    with path.open("rb") as file:
        whole = _whole(file)
    if whole:
        os.truncate(path, whole)
    return whole > 0


def _whole(file: IO[bytes]) -> int:
    """Bytes up to the end of the last media data that a movie or a fragment box describes."""
    size = os.fstat(file.fileno()).st_size
    at, whole, described = 0, 0, False
    while (box := _box(file, at)) is not None and at + box[1] <= size:
        kind, length = box
        at += length
        if kind in (b"moov", b"moof"):
            described = True
            # one that has all samples before it is a file's end
            whole = at if kind == b"moov" and whole == 0 and _holds(file, b"mdat", at) else whole
        elif kind == b"mdat" and described:
            whole, described = at, False
    return whole


def _holds(file: IO[bytes], wanted: bytes, end: int) -> bool:
    at = 0
    while at < end and (box := _box(file, at)) is not None:
        if box[0] == wanted:
            return True
        at += box[1]
    return False


def _box(file: IO[bytes], at: int) -> tuple[bytes, int] | None:
    """The kind and the length of the box that begins there; None where none does."""
    file.seek(at)
    header = file.read(LONG_HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    kind, length, least = header[4:8], int.from_bytes(header[:4], "big"), HEADER_BYTES
    if length == 1:
        length, least = int.from_bytes(header[8:16], "big"), LONG_HEADER_BYTES
    return (kind, length) if length >= least else None
