"""The world that stands in for Windows refuses what Windows does, to our packages alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.systems.windows_like import PROCESSOR
from tests.systems.worlds import needs_proc, windows_environment

pytestmark = needs_proc

AS_OURS = """
import sys, types
module = types.ModuleType("rigid.pretended")
module.__package__ = "rigid"
exec(compile(sys.argv[1], "pretended.py", "exec"), module.__dict__)
"""


def tried(code: str, tmp_path: Path, wrap: str | None = AS_OURS) -> str:
    """The last line that `code`, as if it were ours, leaves on stderr; empty where nothing stops it."""
    command = [sys.executable, "-c", code] if wrap is None else [sys.executable, "-c", wrap, code]
    environment = windows_environment(tmp_path / "world")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, encoding="utf-8")
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


REFUSED = [
    ("import resource", "ModuleNotFoundError: No module named 'resource'"),
    ("from fcntl import flock", "ModuleNotFoundError"),
    ("import os; os.sched_getaffinity(0)", "AttributeError: module 'os' has no attribute 'sched_getaffinity'"),
    ("from signal import SIGKILL", "ImportError: cannot import name 'SIGKILL'"),
    ("open('a', 'w')", "EncodingWarning"),
    ("open('12:30.mp4', 'wb')", "OSError: [Errno 22]"),
    ("import os; os.mkdir('aux')", "OSError: [Errno 22]"),
    ("from pathlib import Path; a = Path('a').open('wb'); Path('a').unlink()", "PermissionError: [Errno 13]"),
    ("import os; a, b = open('a', 'wb'), open('b', 'wb').close(); os.replace('b', 'a')", "PermissionError: [Errno 13]"),
    ("import os; a = open('a', 'wb'); os.replace('a', 'b')", "PermissionError: [Errno 13]"),
    (
        "import os, mmap; open('a', 'wb').write(b'a'); b = open('a', 'r+b'); c = mmap.mmap(b.fileno(), 1); b.close(); "
        "os.remove('a')",
        "PermissionError: [Errno 13]",
    ),
    ("import os, shutil; os.mkdir('f'); a = open('f/a', 'wb'); shutil.rmtree('f')", "PermissionError: [Errno 13]"),
    ("import os; os.symlink('a', 'b')", "OSError: [Errno 22]"),
    ("import asyncio; asyncio.new_event_loop().add_signal_handler(2, print)", "NotImplementedError"),
]


@pytest.mark.parametrize(("code", "error"), REFUSED)
def test_what_windows_refuses_is_refused(code: str, error: str, tmp_path: Path) -> None:
    assert tried(code, tmp_path).startswith(error)


def test_what_works_there_works_and_libraries_see_this_machine(tmp_path: Path) -> None:
    code = """
import os, sys, tempfile, winreg
from pathlib import Path
path = Path("a")
path.write_text("ä", "utf-8")
path.replace("b")
Path("b").unlink()
with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
    Path(folder, "c").write_bytes(b"")
from rigid.operating_system import name_processor
sys.exit(0 if (sys.platform, os.name, name_processor()) == ("win32", "nt", PROCESSOR) else 1)
"""
    assert tried(code.replace("PROCESSOR", repr(PROCESSOR)), tmp_path) == ""
    assert tried("import resource, os; os.sched_getaffinity(0)", tmp_path, wrap=None) == ""
