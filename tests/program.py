"""`rigid-live serve` as it runs for users: a process of its own, with the real networks; or a light one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.patience import PATIENCE_SECONDS, eventually
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
            return httpx.get(f"{self.address}/readyz", timeout=PATIENCE_SECONDS).status_code
        except httpx.HTTPError:
            return 0


def program(log: Path, *options: str) -> AbstractContextManager[Program]:
    """Run it with `options` on a free port until the block ends; yields it once it is ready."""
    port = free_port()
    return _running(log, port, "cli.main", "serve", "--port", str(port), *options)


def light_program(log: Path, drain_seconds: int) -> AbstractContextManager[Program]:
    """The same of a server that loads no networks."""
    port = free_port()
    return _running(log, port, "tests.server.light_server", str(port), str(drain_seconds))


@contextmanager
def _running(log: Path, port: int, *module: str) -> Iterator[Program]:
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", *module], stdout=output, stderr=output)
    # The name that browsers trust with a camera.
    running = Program(process, f"http://localhost:{port}", log)
    try:
        eventually(lambda: process.poll() is not None or running.status() == 200, str(log), START_SECONDS)
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        process.kill()
        process.wait()
