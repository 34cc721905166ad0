"""Starts programs in a world that stands in for another operating system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.systems.windows_like import MARK

ROOT = Path(__file__).resolve().parents[2]
needs_proc = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system tells of no open files")


def windows_environment(folder: Path) -> dict[str, str]:
    """The environment of a process like one on Windows, and of all that it starts; `folder` holds what makes it so."""
    folder.mkdir(exist_ok=True)
    start = "from tests.systems.windows_like import install\n\ninstall()\n"
    (folder / "sitecustomize.py").write_text(start, "utf-8")
    return {
        **os.environ,
        MARK: "1",
        "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))),
        "PYTHONWARNDEFAULTENCODING": "1",
        # What a pipe or a file takes there; a window of its own takes all of Unicode.
        "PYTHONIOENCODING": "cp1252",
    }
