"""Descriptions parsed beside the event loop."""

from __future__ import annotations

import asyncio

from aiortc import RTCSessionDescription
from aiortc.sdp import SessionDescription


class ParsedSdp(str):
    """An SDP's text, with what it says.

    aiortc parses the text of a description on the event loop, in a time that grows with its square.
    """

    description: SessionDescription


_parse = SessionDescription.parse.__func__  # type: ignore[attr-defined]


@classmethod  # type: ignore[misc]
def parse(cls: type[SessionDescription], sdp: str) -> SessionDescription:
    """Replace aiortc's own: what was parsed already is not parsed again."""
    description: SessionDescription = sdp.description if isinstance(sdp, ParsedSdp) else _parse(cls, sdp)
    return description


async def parse_offer(text: str) -> RTCSessionDescription:
    """An offer to give to aiortc; raises whatever its parser is led into."""
    return RTCSessionDescription(await asyncio.to_thread(_parse_text, text), "offer")


def _parse_text(text: str) -> ParsedSdp:
    parsed = ParsedSdp(text)
    try:
        parsed.description = _parse(SessionDescription, text)
    except StopIteration as error:  # which no coroutine may raise
        raise ValueError("it names a format that it does not describe") from error
    return parsed
