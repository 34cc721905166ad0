"""Work that is begun and never done, for processes that are to give it up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from rigid.atomic_files import replacing


def open_begun() -> Callable[[Path], str]:
    """A worker that begins to write a file and never ends, unless another file says that one has begun already."""

    def work(path: Path) -> str:
        begun = path.with_name("begun")
        if path.name == "second":
            while not begun.exists():
                continue
            return "seen"
        with replacing(path) as part:
            part.write_bytes(b"half")
            begun.write_bytes(b"")
            for _ in count():
                continue
        return "done"

    return work
