"""`python -m tests.server.light_server PORT DRAIN_SECONDS`: the server as it runs, with streams that only paint."""

from __future__ import annotations

import sys

from server.app import create_app
from server.config import ServerConfig
from server.listen import listen
from server.run import run
from tests.server.world import LIBRARY, PaintingStream

if __name__ == "__main__":
    port, seconds = map(int, sys.argv[1:])
    app = create_app(ServerConfig(), PaintingStream, LIBRARY)
    run(app, listen("127.0.0.1", port), None, drain_seconds=seconds)
