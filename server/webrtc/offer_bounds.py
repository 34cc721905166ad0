"""How large an offer may be, told from its text alone: what is larger is never parsed.

A browser's offer with a camera, a microphone and a data channel has 5 to 10 KB and three media lines.
"""

from __future__ import annotations

import re

from server.errors import ApiError

MOST_BYTES = 64 * 1024
MOST_MEDIA = 16
MOST_CANDIDATES = 100
"""Of a session: those in its offer, and those that come after it."""


def check_size(offer: str) -> None:
    """Raise ApiError 400 for an offer with more bytes, media lines or candidates than any client needs."""
    for count, most, what in (
        (len(offer.encode()), MOST_BYTES, "bytes"),
        (len(re.findall(r"^m=", offer, re.MULTILINE)), MOST_MEDIA, "media lines"),
        (count_candidates(offer), MOST_CANDIDATES, "candidates"),
    ):
        if count > most:
            message = f"The SDP is no usable offer: it has {count} {what}, and at most {most} are taken."
            raise ApiError(400, "bad_sdp", message, "Offer what you send and receive, and nothing else.")


def count_candidates(offer: str) -> int:
    """How many a description has in it."""
    return len(re.findall(r"^a=candidate:", offer, re.MULTILINE))


def check_candidates(had: int, more: int) -> None:
    """Raise ApiError 422 where a session that had so many candidates is given more than it may have."""
    if had + more > MOST_CANDIDATES:
        message = f"This session has had {had} candidates; {more} more are too many, {MOST_CANDIDATES} are taken."
        raise ApiError(422, "too_many_candidates", message, "Send each address of the client once.")
