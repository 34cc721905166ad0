"""Reaching into private names, so that a renamed one fails."""

from __future__ import annotations

RECEIVER = "_RTCRtpReceiver__"
SENDER = "_RTCRtpSender__"
"""Before the name of each of their private attributes."""


def replace(owner: object, name: str, value: object) -> None:
    """Set an attribute that must exist already: a renamed private must fail, not be added beside the new one."""
    getattr(owner, name)
    setattr(owner, name, value)
