"""Candidates that a client finds after its offer: as JSON, as WHIP's SDP fragments, and whose they are."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from server.webrtc.offer_bounds import check_candidates, count_candidates

MAX_CANDIDATES = 64


class IceResource:
    """What a client's PATCH and DELETE are for: its ICE session, by a secret address."""

    def __init__(self, add: Callable[[Sequence[RTCIceCandidate]], None], place: str = "") -> None:
        """`add` takes candidates; `place` begins the secret."""
        self.secret = place + secrets.token_urlsafe(24)
        self.etag = f'"{secrets.token_hex(8)}"'
        """Names the ICE session."""
        self.ufrag: str | None = None
        """The client's user fragment in it."""
        self._had = 0
        self._add = add

    def begin(self, offer: str) -> None:
        """Begin with the candidates in an offer."""
        self.ufrag, self._had = ufrag_of(offer), count_candidates(offer)

    def add_candidates(self, candidates: Sequence[RTCIceCandidate]) -> None:
        """Take addresses that the client found after its offer; ApiError 422 where they are too many."""
        check_candidates(self._had, len(candidates))
        self._had += len(candidates)
        self._add(candidates)


@dataclass(frozen=True)
class Fragment:
    """A part of an SDP as PATCH carries it (RFC 8840 section 9)."""

    ufrag: str | None
    """Of the ICE session it belongs to; another one than the offer's asks for an ICE restart."""
    candidates: tuple[RTCIceCandidate, ...]


def parse_fragment(text: str) -> Fragment:
    """A fragment's contents; ValueError, one sentence, where it is none."""
    ufrag: str | None = None
    candidates: list[RTCIceCandidate] = []
    mid: str | None = None
    index = -1
    for line in text.splitlines():
        if re.fullmatch(r"[a-z]=.*", line) is None:
            raise ValueError(f"{line[:80]!r} is no line of an SDP fragment.")
        name, _, value = line[2:].partition(":")
        if line.startswith("m="):
            mid, index = None, index + 1
        elif name == "mid":
            mid = value
        elif name == "ice-ufrag":
            ufrag = value
        elif name == "candidate":
            candidates.append(parse_candidate(value, mid, max(index, 0)))
    if len(candidates) > MAX_CANDIDATES:
        raise ValueError(f"{len(candidates)} candidates are too many; send at most {MAX_CANDIDATES} at a time.")
    return Fragment(ufrag, tuple(candidates))


def parse_candidate(text: str, mid: str | None, index: int | None) -> RTCIceCandidate:
    """A candidate, with or without `candidate:` before it; ValueError, one sentence, where it is none."""
    try:
        candidate = candidate_from_sdp(text.removeprefix("candidate:"))
    except (AssertionError, IndexError, ValueError):
        raise ValueError(f"{text[:80]!r} is no ICE candidate.") from None
    candidate.sdpMid, candidate.sdpMLineIndex = mid, index
    return candidate


def ufrag_of(sdp: str) -> str | None:
    """The user fragment of a description's first ICE session."""
    match = re.search(r"^a=ice-ufrag:(\S+)", sdp, re.MULTILINE)
    return None if match is None else match[1]
