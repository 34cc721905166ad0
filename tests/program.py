"""`rigid-live serve` as it runs for users: a process of its own, with the real networks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.patience import eventually
from tests.ports import free_port

START_SECONDS = 400.0
"""On a machine that does much else."""


@dataclass(frozen=True)
class Program:
    """The process, where it answers, and where it writes what it says."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    def status(self) -> int:
        """With which it answers whether it is ready; 0 where it does not answer."""
        try:
            return httpx.get(f"{self.address}/readyz", timeout=20).status_code
        except httpx.HTTPError:
            return 0


@contextmanager
def program(log: Path, *options: str) -> Iterator[Program]:
    """Run it with `options` on a free port until the block ends; yields it once it is ready."""
    port = free_port()
    command = [sys.executable, "-m", "cli.main", "serve", "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    # The name that browsers trust with a camera.
    running = Program(process, f"http://localhost:{port}", log)
    try:
        eventually(lambda: process.poll() is not None or running.status() == 200, str(log), START_SECONDS)
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        process.kill()
        process.wait()
