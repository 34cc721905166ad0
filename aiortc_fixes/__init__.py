"""What aiortc and aioice lack for a service and its Python client, done from outside; its tests tell when to go.

Each work-around states the fact it stands on. All of them reach into private names, which is why they live here.
"""

from __future__ import annotations

import aioice.ice
import aiortc.codecs
import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.sdp import SessionDescription

from aiortc_fixes.codecs import (
    BoundedH264Decoder,
    BoundedVp8Decoder,
    QuickH264Encoder,
    QuickVp8Encoder,
    new_pool,
    pool_encoding,
    refresh,
    set_bitrates,
    set_largest_side,
)
from aiortc_fixes.dtls import create_ssl_context
from aiortc_fixes.gnutls import do_handshake, speak_gnutls
from aiortc_fixes.h264 import choose_encoder, common_codecs, describe_h264, find_common_codecs
from aiortc_fixes.ice import (
    ask_before_answering,
    find_last_heard,
    gather_component_candidates,
    limit_gathering,
    list_host_addresses,
    note_datagram,
    wait_for_checks,
)
from aiortc_fixes.layers import count_left_out
from aiortc_fixes.parsing import parse, parse_offer
from aiortc_fixes.privates import replace
from aiortc_fixes.queues import AUDIO_PREFETCH_SECONDS, bound_receiver, count_discarded, count_oversized
from aiortc_fixes.timestamps import SerialTimestampMapper

__all__ = [
    "AUDIO_PREFETCH_SECONDS",
    "bound_receiver",
    "common_codecs",
    "count_discarded",
    "count_left_out",
    "count_oversized",
    "describe_h264",
    "find_last_heard",
    "install",
    "limit_gathering",
    "new_pool",
    "parse_offer",
    "pool_encoding",
    "refresh",
    "set_bitrates",
    "set_largest_side",
    "speak_gnutls",
    "wait_for_checks",
]


def install() -> None:
    """Put what concerns addresses, life signs, ciphers, codecs, times and parsing in place, for the whole process."""
    replace(aiortc.codecs, "H264Encoder", QuickH264Encoder)
    replace(aiortc.codecs, "Vp8Encoder", QuickVp8Encoder)
    replace(aiortc.codecs, "H264Decoder", BoundedH264Decoder)
    replace(aiortc.codecs, "Vp8Decoder", BoundedVp8Decoder)
    replace(aiortc.rtcpeerconnection, "find_common_codecs", find_common_codecs)
    replace(aiortc.rtcrtpsender, "get_encoder", choose_encoder)
    replace(aiortc.rtcrtpreceiver, "TimestampMapper", SerialTimestampMapper)
    replace(aioice.ice, "get_host_addresses", list_host_addresses)
    replace(aioice.ice.StunProtocol, "datagram_received", note_datagram)
    replace(aioice.ice.Connection, "request_received", ask_before_answering)
    replace(aioice.ice.Connection, "get_component_candidates", gather_component_candidates)
    replace(SessionDescription, "parse", parse)
    replace(RTCDtlsTransport, "_do_handshake", do_handshake)
    replace(RTCCertificate, "_create_ssl_context", create_ssl_context)
