"""Whether what the program needs comes as wheels, for each system that it is for; nothing is installed for that."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = {
    "Linux (x86-64)": "x86_64-manylinux_2_28",
    "Windows (x86-64)": "x86_64-pc-windows-msvc",
    "macOS (Apple silicon)": "aarch64-apple-darwin",
}
"""What uv calls them."""
OLDEST_MACOS = "14.0"
PYTHONS = ("3.11", "3.12", "3.13")
LOCK = ("--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements.lock"))
PROJECT = ("--extra", "train", "--extra", "virtualcam", "--requirement", str(ROOT / "pyproject.toml"))
"""What `pipx install .` takes, and what training and a virtual camera take beside it: the newest that fit."""


def find_missing_wheels(asked: Sequence[Sequence[str]] = (LOCK, PROJECT)) -> Iterator[str]:
    """What cannot be had as a wheel, a sentence each; `asked`: uv's options that say what is wanted."""
    for system, platform in SYSTEMS.items():
        for version in PYTHONS:
            for options in asked:
                problem = _resolve(platform, version, options)
                if problem:
                    yield f"{Path(options[-1]).name} cannot be installed on {system} with Python {version}: {problem}"


def _resolve(platform: str, version: str, options: Sequence[str]) -> str:
    """Why uv finds no wheels for a system; empty where it does."""
    where = ["--only-binary", ":all:", "--python-platform", platform, "--python-version", version]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--quiet", "--target", folder]
        environment = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": OLDEST_MACOS}
        done = subprocess.run([*command, *where, *options], capture_output=True, encoding="utf-8", env=environment)
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("cause:")] or lines or ["uv does not say why."]
    return causes[0].removeprefix("cause:").strip()
