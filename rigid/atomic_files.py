"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_STEM = 160
"""Bytes of a name's stem that are repeated in that of its temporary file; file systems take 255 for a whole name."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; it takes the place of `path` once the block ends well.

    Whatever stops the block, an error or Ctrl-C, removes what was written and leaves `path` as it was.
    """
    # The suffix stays, as it tells encoders the format; a long name must leave room for what is put around it.
    stem = os.fsdecode(os.fsencode(path.stem)[:LONGEST_STEM])
    part = path.with_name(f".{stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
