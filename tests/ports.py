"""Ports of this machine that nothing listens on."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 32_000
"""Below those that Linux gives to whoever names none."""


def free_port() -> int:
    """A TCP port of the loopback address, which no connection gets that names none, however long it is left alone."""
    return free_ports(1, socket.SOCK_STREAM, "127.0.0.1").start


def free_udp_ports(count: int) -> range:
    """UDP ports side by side, free on all addresses, which no socket gets that asks for any."""
    return free_ports(count, socket.SOCK_DGRAM, "0.0.0.0")


def free_ports(count: int, kind: socket.SocketKind, address: str) -> range:
    """Ports side by side that are free at `address`."""
    while True:
        first = random.SystemRandom().randrange(FIRST, LAST - count)
        if all(_is_free(port, kind, address) for port in range(first, first + count)):
            return range(first, first + count)


def _is_free(port: int, kind: socket.SocketKind, address: str) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
