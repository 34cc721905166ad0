"""A UDP relay on the loopback that loses, delays and jitters what two peers send each other: a bad network."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

CANDIDATE = re.compile(r"a=candidate:(\S+) 1 udp (\d+) (\S+) (\d+) typ host.*")


class Relay(asyncio.DatagramProtocol):
    """Passes datagrams between a server's address and whoever speaks to this one first."""

    def __init__(self, server: tuple[str, int], loss: float, delay: float, jitter: float) -> None:
        self._server = server
        self._loss, self._delay, self._jitter = loss, delay, jitter
        self._random = random.Random(1)
        self._client: tuple[str, int] | None = None
        self.passed = 0
        self.lost = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr == self._server:
            target = self._client
        else:
            self._client, target = addr, self._server
        if target is None:
            return
        if self._random.random() < self._loss:
            self.lost += 1
            return
        self.passed += 1
        wait = self._delay + self._random.uniform(-self._jitter, self._jitter)
        asyncio.get_running_loop().call_later(wait, self._send, data, target)

    def _send(self, data: bytes, target: tuple[str, int]) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(data, target)


@asynccontextmanager
async def relayed(answer: str, *, loss: float, delay: float, jitter: float) -> AsyncIterator[tuple[str, Relay]]:
    """An answer whose one address is that of a relay, and the relay. Loss is a share, the times are seconds one way."""
    match = CANDIDATE.search(answer)
    assert match is not None
    server = (match[3], int(match[4]))
    loop = asyncio.get_running_loop()
    # On the server's own address: it answers only what comes to it there.
    transport, relay = await loop.create_datagram_endpoint(
        lambda: Relay(server, loss, delay, jitter), local_addr=(server[0], 0)
    )
    host, port = transport.get_extra_info("sockname")[:2]
    bare = re.sub(r"a=candidate.*\r\n", "", answer)
    line = f"a=candidate:1 1 udp {match[2]} {host} {port} typ host\r\n"
    try:
        yield re.sub(r"(a=ice-ufrag)", line + r"\1", bare, count=1), relay
    finally:
        transport.close()
