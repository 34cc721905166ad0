"""Asking again for packets that were lost twice."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiortc import RTCRtpReceiver
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket

from aiortc_fixes.privates import RECEIVER, replace

ASK_AGAIN_SECONDS = 0.15
"""About the round trip of a distant client; browsers wait one round trip."""


class RepeatingNackGenerator(NackGenerator):
    """Asks for what is missing until it comes or is too old (RFC 4585 section 6.2.1 lets a receiver ask again).

    aiortc asks once, and again only when a further packet is lost: where the request or what it brings is lost too,
    a video stands still until 512 packets wait behind the gap.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._asked = 0.0

    def add(self, packet: RtpPacket) -> bool:
        missed = super().add(packet)
        now = self._clock()
        if not missed and not (self.missing and now - self._asked >= ASK_AGAIN_SECONDS):
            return False
        self._asked = now
        return True


def ask_again(receiver: RTCRtpReceiver) -> None:
    """Have a video `receiver` ask again; call it before media flows."""
    replace(receiver, f"{RECEIVER}nack_generator", RepeatingNackGenerator())
