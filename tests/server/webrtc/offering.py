"""Offers written by hand, as clients of all kinds write them, and a peer that answers them without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import aiortc_fixes
from server.config import ServerConfig
from server.webrtc.offers import take_offer
from server.webrtc.peer import Peer, PeerEvents
from server.webrtc.session_description import Description

CODECS = {
    "audio": ((111, "opus/48000/2", ""), (0, "PCMU/8000", "")),
    "video": (
        (96, "VP8/90000", ""),
        (97, "rtx/90000", "apt=96"),
        (98, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    ),
}
TRANSPORT = (
    "a=ice-pwd:efghijklmnopqrstuvwxyz",
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
    "a=setup:actpass",
    "a=rtcp-mux",
)


@dataclass(frozen=True)
class Line:
    """A media line; by itself it says everything."""

    kind: str
    direction: str | None = "sendrecv"
    port: int = 9
    bundle_only: bool = False
    transport: bool = True
    """Whether it says what its bundle's first line says too."""
    named: bool = True
    """Whether it has a mid."""
    codecs: tuple[tuple[int, str, str], ...] | None = None
    more: tuple[str, ...] = ()
    ufrag: str = "abcd"

    def lines(self, mid: str) -> list[str]:
        if self.kind not in CODECS:
            head = f"m={self.kind} {self.port} UDP/DTLS/SCTP webrtc-datachannel"
            said = (
                [head, "a=sctp-port:5000"] if self.kind == "application" else [f"m={self.kind} {self.port} RTP/AVP 9"]
            )
        else:
            codecs = CODECS[self.kind] if self.codecs is None else self.codecs
            said = [f"m={self.kind} {self.port} UDP/TLS/RTP/SAVPF {' '.join(str(one) for one, _, _ in codecs)}"]
            said += [f"a=rtpmap:{number} {name}" for number, name, _ in codecs]
            said += [f"a=fmtp:{number} {stated}" for number, _, stated in codecs if stated]
        said += ["c=IN IP4 0.0.0.0"]
        said += [f"a={self.direction}"] if self.direction and self.kind in CODECS else []
        said += [f"a=mid:{mid}"] if self.named else []
        said += ["a=bundle-only"] if self.bundle_only else []
        transport = [f"a=ice-ufrag:{self.ufrag}", *TRANSPORT] if self.transport else []
        return [*said, *transport, *self.more]


def bundled_only(line: Line) -> Line:
    """The same, as a line that is not the first of a max-bundle offer."""
    return Line(line.kind, line.direction, 0, bundle_only=True, transport=False, codecs=line.codecs)


def offer_of(lines: Sequence[Line], *, bundle: bool = True) -> str:
    """An offer of these lines."""
    mids = [f"m{number}" for number in range(len(lines))]
    group = [mid for mid, line in zip(mids, lines, strict=True) if line.named and (line.port or line.bundle_only)]
    head = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0"] + (
        [f"a=group:BUNDLE {' '.join(group)}"] if bundle else []
    )
    return "\r\n".join([*head, *(one for mid, line in zip(mids, lines, strict=True) for one in line.lines(mid)), ""])


@asynccontextmanager
async def answering(text: str) -> AsyncIterator[tuple[Peer, Description]]:
    """The answer of a session's peer to an offer; ApiError where there is none."""
    aiortc_fixes.install()
    quiet = SimpleNamespace(
        **{
            name: lambda *_: None
            for name in ("on_picture", "on_sound", "on_picture_sent", "on_connection_change", "on_channel")
        },
        video_delay=lambda now: None,
    )
    pool = ThreadPoolExecutor(1)
    peer = Peer(ServerConfig(), cast(PeerEvents, quiet), pool)
    try:
        yield peer, Description.read((await peer.answer(take_offer(text, "offer"))).sdp)
    finally:
        await peer.close()
        pool.shutdown()
