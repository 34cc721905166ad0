"""A Python that is too old or has too few bits gets one sentence, before anything else is imported."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cli.this_python import find_obstacle

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("version", "bits", "said"),
    [
        ((3, 11, 0), 64, ""),
        ((3, 14, 2), 64, ""),
        ((4, 0, 0), 64, ""),
        ((3, 10, 13), 64, "this is Python 3.10 with 64 bits"),
        ((3, 12, 1), 32, "this is Python 3.12 with 32 bits"),
    ],
)
def test_what_keeps_a_python_from_it_is_said(version: tuple[int, ...], bits: int, said: str) -> None:
    obstacle = find_obstacle(version, bits)
    assert bool(obstacle) == bool(said) and said in obstacle


@pytest.mark.parametrize("version", ["3.10", "3.9", "3.8", "3.7"])
def test_an_older_python_ends_with_the_sentence(version: str) -> None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    there = [*pyenv.glob(f"versions/{version}.*/bin/python"), *Path("/usr/bin").glob(f"python{version}")]
    if not there:
        pytest.skip(f"there is no Python {version} here")
    command = [str(there[0]), "-m", "cli.main", "serve"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Error: RIGID Live needs a 64-bit Python 3.11 or newer")
    assert done.stderr.count("\n") == 1
