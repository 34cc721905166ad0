"""Candidates, the time they take to gather, and signs of life."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import aioice.ice
import aioice.turn
from aioice import stun
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aiortc import RTCPeerConnection

from aiortc_fixes.privates import replace


def wait_for_checks(sdp: str) -> str:
    """Return `sdp` without its end-of-candidates.

    aioice gives up at once when it knows no usable candidate of the peer and none is to come, as with a browser
    that hides its addresses behind mDNS names; the peer's own checks would have made the connection.
    """
    return re.sub(r"a=end-of-candidates\r?\n?", "", sdp)


@dataclass(frozen=True)
class GatheringLimits:
    """Bounds to how candidates are gathered."""

    ports: range | None = None
    """Where to listen; None for any the system chooses."""
    seconds: float = 5.0
    """How long to wait for a STUN or TURN server."""


_gathering: ContextVar[GatheringLimits] = ContextVar("gathering", default=GatheringLimits())  # noqa: B039 (it is frozen)
_gather = aioice.ice.Connection.get_component_candidates
_addresses = aioice.ice.get_host_addresses


@contextmanager
def limit_gathering(ports: range | None, seconds: float) -> Iterator[None]:
    """Candidates gathered within listen on `ports`, and a STUN or TURN server has `seconds` to answer.

    aioice itself lets the system choose any port, and waits five seconds for a server that is dead.
    """
    token = _gathering.set(GatheringLimits(ports, seconds))
    try:
        yield
    finally:
        _gathering.reset(token)


_heard: WeakKeyDictionary[aioice.ice.Connection, float] = WeakKeyDictionary()
_datagram_received = aioice.ice.StunProtocol.datagram_received


def find_last_heard(peer: RTCPeerConnection) -> float | None:
    """When anything last came from the other end, seconds of the monotonic clock; None before it is connected.

    Media, their reports, messages and ICE's own checks count alike: a peer that lives sends one each few seconds,
    even where its video is muted. aioice itself gives a dead peer up after half a minute.
    """
    times = [_heard[one] for one in _ice_connections(peer) if one in _heard]
    return max(times, default=None)


def _ice_connections(peer: RTCPeerConnection) -> list[aioice.ice.Connection]:
    transports = [receiver.transport for receiver in peer.getReceivers()]
    transports += [peer.sctp.transport] if peer.sctp is not None else []
    return [one.transport._connection for one in transports]


def note_datagram(self: aioice.ice.StunProtocol, data: bytes | str, addr: tuple[Any, ...]) -> None:
    """Replace aioice's own: it also notes when a datagram of the peer came."""
    # Of the peer's own addresses only: anyone can send to an open port. Where it has several, both ends choose among
    # them, on a busy machine not the same.
    ways = [pair for pair in self.receiver._check_list if pair.state == aioice.ice.CandidatePair.State.SUCCEEDED]
    if any(pair.remote_addr == tuple(addr[:2]) for pair in ways):
        _heard[self.receiver] = time.monotonic()
    _datagram_received(self, data, addr)


_request_received = aioice.ice.Connection.request_received
EARLY_SECONDS = 0.02
"""How often it is looked whether a check that came early can be answered."""


def ask_before_answering(
    self: aioice.ice.Connection, message: stun.Message, addr: tuple[str, int], protocol: aioice.ice.StunProtocol
) -> None:
    """Replace aioice's own: the response to a peer's check goes out behind the check of this side that it triggers.

    FFmpeg's muxer begins DTLS with that response and answers no check from then on. On a busy machine the other one
    came later, and the connection did not come about.
    """
    answers: list[stun.Message] = []
    replace(protocol, "send_stun", lambda answer, _addr: answers.append(answer))
    try:
        _request_received(self, message, addr, protocol)
    finally:
        del protocol.send_stun
    for one in answers:
        if one.message_class == stun.Class.RESPONSE:
            asyncio.get_running_loop().call_soon(_answer, self, protocol, one, addr)
        else:
            protocol.send_stun(one, addr)


def _answer(
    connection: aioice.ice.Connection, protocol: aioice.ice.StunProtocol, answer: stun.Message, addr: tuple[str, int]
) -> None:
    if connection._closing:
        return
    if connection._early_checks_done:
        protocol.send_stun(answer, addr)
    else:
        asyncio.get_running_loop().call_later(EARLY_SECONDS, _answer, connection, protocol, answer, addr)


def list_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """This machine's addresses; the loopback where there is no other, which aioice leaves out always."""
    return _addresses(use_ipv4, use_ipv6) or ["127.0.0.1"]


async def gather_component_candidates(
    self: aioice.ice.Connection, component: int, addresses: list[str], timeout: float = 5
) -> list[Candidate]:
    """Replace aioice's own, within the limits of `limit_gathering`."""
    ports, seconds = _gathering.get().ports, min(timeout, _gathering.get().seconds)
    if ports is None:
        return await _gather(self, component, addresses, seconds)  # type: ignore[arg-type]
    protocols = [await _listen(self, address, ports) for address in addresses]
    found = [_host_candidate(one, component) for one in protocols if one is not None]
    self._protocols += [one for one in protocols if one is not None]
    reflexive, relayed = await asyncio.gather(_reflexive(self, seconds), _gather(self, component, [], seconds))  # type: ignore[arg-type]
    return found + reflexive + relayed


async def _listen(connection: aioice.ice.Connection, address: str, ports: range) -> aioice.ice.StunProtocol | None:
    """A socket on the first free port of the range, begun anywhere in it; None where all are taken."""
    loop = asyncio.get_running_loop()
    begin = random.randrange(len(ports))
    for step in range(len(ports)):
        port = ports[(begin + step) % len(ports)]
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: aioice.ice.StunProtocol(connection), local_addr=(address, port)
            )
        except OSError:
            continue
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, aioice.turn.UDP_SOCKET_BUFFER_SIZE
        )
        return protocol
    return None


def _host_candidate(protocol: aioice.ice.StunProtocol, component: int) -> Candidate:
    host, port = protocol.transport.get_extra_info("sockname")[:2]
    protocol.local_candidate = Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=host,
        port=port,
        type="host",
    )
    return protocol.local_candidate


async def _reflexive(connection: aioice.ice.Connection, timeout: float) -> list[Candidate]:
    """What the STUN server, where there is one, sees of the IPv4 sockets."""
    server = connection.stun_server
    sockets = [one for one in connection._protocols if ":" not in one.local_candidate.host]
    if server is None or not sockets:
        return []
    asked = [asyncio.create_task(aioice.ice.server_reflexive_candidate(one, server)) for one in sockets]
    done, late = await asyncio.wait(asked, timeout=timeout)
    for task in late:
        task.cancel()
    return [task.result()[0] for task in done if task.exception() is None]
