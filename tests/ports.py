"""Ports of this machine that nothing listens on."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 32_000
"""Below those that Linux gives to whoever names none."""


def free_port() -> int:
    """A TCP port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_udp_ports(count: int) -> range:
    """UDP ports side by side, free on all addresses, which no socket gets that asks for any."""
    while True:
        first = random.SystemRandom().randrange(FIRST, LAST - count)
        if all(_is_free(port) for port in range(first, first + count)):
            return range(first, first + count)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
