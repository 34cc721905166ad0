"""H.264 of more profiles than Baseline, and in single packets (RFC 6184)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import ClassVar

import aiortc.rtcpeerconnection
from aiortc.codecs import CODECS, get_encoder, is_rtx
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import PACKET_MAX
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from aiortc_fixes.codecs import QuickH264Encoder

PROFILES = {
    0x42: "Baseline",
    0x4D: "Main",
    0x58: "Extended",
    0x64: "High",
    0x6E: "High 10",
    0x7A: "High 4:2:2",
    0xF4: "High 4:4:4 Predictive",
    0x2C: "CAVLC 4:4:4 Intra",
}
BASELINE_OR_MAIN = 0b1100_0000
"""Of an Extended stream: that a decoder of Baseline or of Main can decode it as well."""
UNSTATED = "42e01f"
"""What older WebRTC means where it leaves the profile out."""
_common = aiortc.rtcpeerconnection.find_common_codecs


def describe_h264(codec: RTCRtpCodecParameters) -> str:
    """What is offered, in words."""
    stated = str(codec.parameters.get("profile-level-id", UNSTATED))
    mode = codec.parameters.get("packetization-mode", "0")
    name = PROFILES.get(_profile(stated)[0], "an unknown profile")
    return f"H264 {name} (profile-level-id {stated[:20]}, packetization-mode {str(mode)[:20]})"


def _profile(stated: str) -> tuple[int, int]:
    """profile_idc and the constraint flags of a profile-level-id; zeros where it is none."""
    try:
        idc, flags, _ = bytes.fromhex(stated)
    except ValueError:
        return 0, 0
    return idc, flags


def is_decoded(codec: RTCRtpCodecParameters) -> bool:
    """Whether libavcodec decodes H.264 so offered, and aiortc takes it out of its packets."""
    idc, flags = _profile(str(codec.parameters.get("profile-level-id", UNSTATED)))
    of_known_profile = idc in PROFILES and (PROFILES[idc] != "Extended" or bool(flags & BASELINE_OR_MAIN))
    return of_known_profile and str(codec.parameters.get("packetization-mode", "0")) in ("0", "1")


def find_common_codecs(
    local: list[RTCRtpCodecParameters], remote: list[RTCRtpCodecParameters]
) -> list[RTCRtpCodecParameters]:
    """Replace aiortc's own, which takes H.264 of the Baseline profiles in packetization mode 1 only.

    What it takes comes first, so that the others are used only where a client has nothing else. Each is answered with
    the profile, level and mode that it was offered with, which are those of both directions (RFC 6184 section 8.2.2): a
    Constrained Baseline stream, which is what is sent here, suits decoders of all profiles.
    """
    usual = _common(local, remote)
    known = next((codec for codec in local if codec.name == "H264"), None)
    if known is None:
        return usual
    taken = {codec.payloadType for codec in usual}
    others = [one for one in remote if one.name == "H264" and one.payloadType not in taken and is_decoded(one)]
    repaired = {one.payloadType for one in others}
    repairs = [deepcopy(one) for one in remote if is_rtx(one) and one.parameters.get("apt") in repaired]
    return [*usual, *(_answer_codec(known, one) for one in others), *repairs]


def _answer_codec(known: RTCRtpCodecParameters, offered: RTCRtpCodecParameters) -> RTCRtpCodecParameters:
    answer = deepcopy(known)
    answer.payloadType = offered.payloadType
    answer.parameters = {
        name: value
        for name, value in offered.parameters.items()
        if name in ("level-asymmetry-allowed", "packetization-mode", "profile-level-id")
    }
    answer.rtcpFeedback = [one for one in known.rtcpFeedback if one in offered.rtcpFeedback]
    return answer


def common_codecs(kind: str, offered: Sequence[RTCRtpCodecParameters]) -> list[RTCRtpCodecParameters]:
    """What is known here of the codecs offered, the preferred first."""
    return find_common_codecs(CODECS[kind], list(offered))


class SingleNalEncoder(QuickH264Encoder):
    """An H.264 encoder for packetization mode 0, in which each packet holds one whole NAL unit."""

    options: ClassVar = {**QuickH264Encoder.options, "slice-max-size": str(PACKET_MAX)}

    @classmethod
    def _packetize(cls, packages: Iterable[bytes]) -> list[bytes]:
        return list(packages)


def choose_encoder(codec: RTCRtpCodecParameters) -> Encoder:
    """Replace aiortc's own, whose H.264 encoder sends fragments and aggregates whatever was agreed."""
    single = codec.name == "H264" and str(codec.parameters.get("packetization-mode", "0")) == "0"
    return SingleNalEncoder() if single else get_encoder(codec)
