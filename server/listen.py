"""The socket that a server listens on, and the addresses to open; knows no server, so that it is there at once."""

from __future__ import annotations

import errno
import socket
import sys

from server.tls import ANY, own_names

REASONS = {
    errno.EADDRINUSE: "is in use; stop the program that has it, or choose another one with --port",
    errno.EACCES: "may not be used by this user; choose one above 1023 with --port",
}


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, before the networks are loaded; ValueError, one sentence, where it cannot."""
    if not 0 <= port <= 65535:
        raise ValueError(f"The port {port} does not exist; choose one from 1 to 65535 with --port.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise ValueError(f"The host {host!r} is not known; choose an address of this machine with --host.") from None
    listener = socket.socket(family, kind, protocol)
    # There it would let two programs have one port, of which either may get a connection.
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise ValueError(_cannot_listen(host, port, error)) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; choose one of its own with --host."
    return f"The port {port} on {host} {REASONS.get(error.errno or 0, f'cannot be opened ({error.strerror})')}."


def urls(host: str, port: int, *, secure: bool) -> list[str]:
    """List where to open the page, the best address first."""
    hosts = [name for name in own_names() if name not in ("127.0.0.1", "::1")] if host in ANY else [host]
    return [f"{'https' if secure else 'http'}://{f'[{name}]' if ':' in name else name}:{port}" for name in hosts]
