"""Commands that serve, with nothing behind them."""

from __future__ import annotations

from collections.abc import Callable
from socket import socket

import pytest

from server.config import ServerConfig


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServerConfig]:
    """The settings of the servers that were started, which print where they listen, are ready at once, and end."""
    started: list[ServerConfig] = []

    def serve_here(
        config: ServerConfig,
        _store: object,
        _credentials: object,
        listener: socket,
        _files: object,
        addresses: list[str],
        *_: object,
        ready: Callable[[], object] = lambda: None,
    ) -> None:
        listener.close()
        print(addresses[0])
        started.append(config)
        ready()

    monkeypatch.setattr("cli.serve.serve_here", serve_here)
    return started
