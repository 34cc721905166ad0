"""A TURN server that others wrote, coturn, on the loopback address with a shared secret."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.config import ServerConfig
from server.ice_servers import IceServer
from tests.patience import PATIENCE_SECONDS, eventually
from tests.ports import free_port

PROGRAM = "turnserver"
SECRET = "sesame"
MISSING = f"{PROGRAM} is not on the PATH: install the package coturn"
FIRST_PORT, LAST_PORT = 50_000, 50_200


def is_missing() -> bool:
    return shutil.which(PROGRAM) is None


@contextmanager
def coturn(folder: Path) -> Iterator[tuple[ServerConfig, Path]]:
    """Run it until the block ends; yields the configuration of a server that hands it out, and coturn's log."""
    port, log = free_port(), folder / "coturn.log"
    command = [PROGRAM, "-n", "-v", "-L", "127.0.0.1", "-E", "127.0.0.1", "-p", str(port), "-r", "rigid"]
    command += ["--use-auth-secret", f"--static-auth-secret={SECRET}", "--allow-loopback-peers"]
    command += ["--no-cli", "--no-tls", "--no-dtls", "--no-rfc5780", f"--min-port={FIRST_PORT}"]
    command += [f"--max-port={LAST_PORT}", "--log-file=stdout", "--pidfile=", f"--userdb={folder / 'users'}"]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            eventually(lambda: "UDP listener opened" in log.read_text(), f"{PROGRAM} listens")
            server = IceServer(f"turn:127.0.0.1:{port}")
            yield ServerConfig(ice_servers=(server,), turn_secret=SECRET, badge=False), log
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
