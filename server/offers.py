"""Judges a WebRTC offer before anything is set up for it."""

from __future__ import annotations

from collections.abc import Sequence

from aiortc import sdp
from aiortc.codecs import CODECS
from aiortc.rtcpeerconnection import find_common_codecs

from server.errors import ApiError


def check_offer(text: str, kind: str) -> None:
    """Raise ApiError 400 unless this is an offer that sends video in a codec known here."""
    if kind != "offer":
        raise ApiError(400, "bad_sdp", f"The description is of type {kind!r}, not an offer.", "Send your offer.")
    sections = _parsed(text).media
    videos = [one for one in sections if one.kind == "video" and one.port != 0]
    if not videos:
        raise ApiError(400, "no_video", "The offer has no video line.", "Add a camera track before the offer.")
    if not any(one.direction in ("sendrecv", "sendonly") for one in videos):
        raise ApiError(400, "no_video", "The offer does not send video.", "Offer it as sendrecv.")
    _check_codecs(sections)


def _check_codecs(sections: Sequence[sdp.MediaDescription]) -> None:
    for section in sections:
        if section.kind in CODECS and not find_common_codecs(CODECS[section.kind], section.rtp.codecs):
            known = ", ".join(sorted({codec.name for codec in CODECS[section.kind] if codec.name != "rtx"}))
            message = f"None of the {section.kind} codecs offered is known here."
            raise ApiError(400, "no_common_codec", message, f"Offer one of: {known}.")


def check_watch_offer(text: str) -> None:
    """Raise ApiError 400 unless this is an offer that receives video in a codec known here."""
    videos = [one for one in _parsed(text).media if one.kind == "video" and one.port != 0]
    if not any(one.direction in ("sendrecv", "recvonly") for one in videos):
        raise ApiError(400, "no_video", "The offer does not receive video.", "Offer it as recvonly.")
    _check_codecs(videos)


def _parsed(text: str) -> sdp.SessionDescription:
    if not text.startswith("v=0"):
        raise bad_sdp("it does not begin with v=0")
    try:
        description = sdp.SessionDescription.parse(text)
    except Exception as error:  # the parser raises whatever the text leads it into
        raise bad_sdp("it cannot be parsed") from error
    for section in description.media:
        if section.ice is None or not section.ice.usernameFragment or not section.ice.password:
            raise bad_sdp("it lacks ICE credentials")
        if section.dtls is None or not section.dtls.fingerprints:
            raise bad_sdp("it lacks a DTLS fingerprint")
    return description


def bad_sdp(reason: str) -> ApiError:
    """An offer that cannot be used."""
    return ApiError(400, "bad_sdp", f"The SDP is no usable offer: {reason}.", "Send pc.localDescription unchanged.")
