"""One picture at a time from a client that sends several: simulcast, and senders that begin anew."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.codecs import depayload, is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtpPacket

from aiortc_fixes.nacks import ask_again
from aiortc_fixes.privates import RECEIVER, replace
from aiortc_fixes.sizes import picture_size
from aiortc_fixes.timestamps import CLOCK_RATE

LAYER_SILENT_SECONDS = 0.5
"""A layer of which nothing comes for as long gives way to a smaller one."""
ASK_SECONDS = 0.5
"""How often the smaller one is asked for a keyframe to begin with."""


class OneLayer:
    """Stands before a video receiver, and lets it have the largest picture that comes.

    aiortc puts every SSRC of a known payload type into one jitter buffer, and ends a track for good when an RTCP BYE
    names it, after which some senders go on (RFC 3550 section 6.6 lets an SSRC that left be heard again).
    """

    def __init__(self, receiver: RTCRtpReceiver, begin_anew: Callable[[], None]) -> None:
        """`begin_anew` empties the receiver's jitter buffer."""
        self.left_out = 0
        """Pictures of other layers that came."""
        self._receiver = receiver
        self._begin_anew = begin_anew
        self._take_packet, self._take_report = receiver._handle_rtp_packet, receiver._handle_rtcp_packet
        self._ssrc: int | None = None
        self._pixels = 0
        self._heard = self._asked = time.monotonic()
        replace(receiver, "_handle_rtp_packet", self.pass_packet)
        replace(receiver, "_handle_rtcp_packet", self.pass_report)

    async def pass_report(self, packet: AnyRtcpPacket) -> None:
        """Replace the receiver's own: a goodbye only lets another layer begin."""
        if not isinstance(packet, RtcpByePacket):
            await self._take_report(packet)
        elif self._ssrc in packet.sources:
            self._heard = time.monotonic() - LAYER_SILENT_SECONDS

    async def pass_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Replace the receiver's own: packets of other layers are left out."""
        codec = getattr(self._receiver, f"{RECEIVER}codecs").get(packet.payload_type)
        if codec is None or self._is_of_layer(codec, packet) or await self._switches(codec, packet):
            await self._take_packet(packet, arrival_time_ms)

    def _is_of_layer(self, codec: RTCRtpCodecParameters, packet: RtpPacket) -> bool:
        if is_rtx(codec):
            return getattr(self._receiver, f"{RECEIVER}rtx_ssrc").get(packet.ssrc) in (None, self._ssrc)
        if self._ssrc is None:
            self._ssrc = packet.ssrc
        if packet.ssrc != self._ssrc:
            return False
        self._heard, self._pixels = time.monotonic(), pixels(codec, packet) or self._pixels
        return True

    async def _switches(self, codec: RTCRtpCodecParameters, packet: RtpPacket) -> bool:
        """Whether another layer's packet begins a larger picture, or any one where the present layer is silent."""
        now, came = time.monotonic(), pixels(codec, packet)
        is_silent = now - self._heard >= LAYER_SILENT_SECONDS
        if came > self._pixels or (came and is_silent):
            mapper = getattr(self._receiver, f"{RECEIVER}timestamp_mapper")
            mapper.begin_anew(round(CLOCK_RATE * (now - self._heard)))
            self._begin_anew()
            self._ssrc, self._pixels, self._heard = packet.ssrc, came, now
            return True
        self.left_out += packet.marker
        if is_silent and now - self._asked >= ASK_SECONDS:
            self._asked = now
            await self._receiver._send_rtcp_pli(packet.ssrc)
        return False


def pixels(codec: RTCRtpCodecParameters, packet: RtpPacket) -> int:
    """Count the pixels of the picture that a packet begins, where it says so; else 0."""
    if is_rtx(codec):
        return 0
    try:
        size = picture_size(codec.name, depayload(codec, packet.payload))
    except ValueError:
        return 0
    return 0 if size is None else size[0] * size[1]


def take_one_layer(receiver: RTCRtpReceiver, begin_anew: Callable[[], None]) -> None:
    """Have a video `receiver` decode one layer, the largest; call it before media flows."""

    def begin() -> None:
        begin_anew()
        ask_again(receiver)

    OneLayer(receiver, begin)


def outlast_goodbyes(receiver: RTCRtpReceiver) -> None:
    """Have an audio `receiver` go on when its sender does after an RTCP BYE."""
    take_report = receiver._handle_rtcp_packet

    async def report(packet: AnyRtcpPacket) -> None:
        if not isinstance(packet, RtcpByePacket):
            await take_report(packet)

    replace(receiver, "_handle_rtcp_packet", report)


def count_left_out(peer: RTCPeerConnection) -> int:
    """How many pictures of other layers than the largest came, of all that `peer` receives."""
    standing = [getattr(one._handle_rtp_packet, "__self__", None) for one in peer.getReceivers()]
    return sum(one.left_out for one in standing if isinstance(one, OneLayer))
