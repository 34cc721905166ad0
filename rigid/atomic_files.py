"""Files that appear whole or not at all, and the folders that they are written to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST_STEM = 160
"""Bytes of a name's stem that are repeated in that of its temporary file; file systems take 255 for a whole name."""


def shorten(name: str, most: int) -> str:
    """Cut a file's name to at most so many bytes, between two characters."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= most else encoded[:most].decode("utf-8", "ignore")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; it takes the place of `path` once the block ends well.

    Whatever stops the block, an error or Ctrl-C, removes what was written and leaves `path` as it was.
    """
    # The suffix stays, as it tells encoders the format; a long name must leave room for what is put around it.
    part = path.with_name(f".{shorten(path.stem, LONGEST_STEM)}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, "utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def check_folder(path: Path) -> None:
    """ValueError when the folder that `path` is to be written to is not there, or `path` is itself a folder."""
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} to write {path.name} to; create it first.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file.")
