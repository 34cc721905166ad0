"""Judges a WebRTC offer before anything is set up for it, and makes it one that aiortc can answer."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from aiortc import RTCIceCandidate, RTCSessionDescription, sdp
from aiortc.codecs import CODECS, is_rtx

from aiortc_fixes import common_codecs, describe_h264
from server.errors import ApiError
from server.webrtc.session_description import Description, Section

SENDING, RECEIVING = ("sendrecv", "sendonly"), ("sendrecv", "recvonly")


class Offer:
    """An offer, of which aiortc is given the lines that are served, each with all that holds for it.

    aiortc knows neither lines that are rejected (RFC 3264 section 6) nor those that leave out what the first line of
    their bundle says for all (RFC 9143 section 7).
    """

    def __init__(self, text: str) -> None:
        """ApiError 400 where it is none."""
        if not text.startswith("v=0"):
            raise bad_sdp("it does not begin with v=0")
        try:
            self._all = Description.read(text)
        except ValueError as error:
            raise bad_sdp(str(error)) from error
        self._named = [section.mid is not None for section in self._all.sections]
        self._all.complete()
        self._mids = [str(section.mid) for section in self._all.sections]
        if len(set(self._mids)) < len(self._mids):
            raise bad_sdp("two of its media lines have the same mid")
        self._bundle = next(self._all.bundles(), [])
        self._served = [mid for mid, section in zip(self._mids, self._all.sections, strict=True) if self._open(section)]
        self.lines: list[sdp.MediaDescription] = _parse(self.text)
        """Of audio, video and data, those that are not closed."""
        self._serve(self.lines)

    @property
    def text(self) -> str:
        """What is served of it, for aiortc."""
        served = Description(list(self._all.session), [one for one in self._all.sections if one.mid in self._served])
        served.set_bundle(mid for mid in self._bundle if mid in self._served)
        return str(served)

    @property
    def is_of_ffmpeg(self) -> bool:
        """Whether FFmpeg's WHIP muxer made it."""
        return "s=FFmpegPublishSession" in self._all.session

    def _open(self, section: Section) -> bool:
        """Whether it is offered at all; a port of 0 closes it, unless it has none of its own (RFC 9143 section 6)."""
        known = section.kind in CODECS or (section.kind == "application" and "SCTP" in section.profile)
        return known and (section.port != 0 or (section.has("bundle-only") and section.mid in self._bundle))

    def _serve(self, lines: Sequence[sdp.MediaDescription]) -> None:
        channels = [one.rtp.muxId for one in lines if one.kind == "application"]
        media = [one.rtp.muxId for one in lines if one.kind in CODECS and common_codecs(one.kind, one.rtp.codecs)]
        self._served = [mid for mid in self._mids if mid in (*media, *channels[:1])]

    def serves(self, line: sdp.MediaDescription) -> bool:
        """Whether a line is answered, and not rejected."""
        return line.rtp.muxId in self._served

    def complete(self, answer: RTCSessionDescription) -> RTCSessionDescription:
        """An answer to `text` as one to the whole offer."""
        given = Description.read(answer.sdp)
        sections = {str(section.mid): section for section in given.sections}
        given.sections = []
        for mid, named, offered in zip(self._mids, self._named, self._all.sections, strict=True):
            section = sections.get(mid) or Section(offered.make_rejection())
            if not named:
                section.drop(["mid"])
            given.sections.append(section)
        given.set_bundle(mid for mid in self._bundle if mid in self._served)
        return RTCSessionDescription(str(given), answer.type)

    def route(self, candidate: RTCIceCandidate) -> RTCIceCandidate:
        """A candidate that came later, under the line whose transport aiortc knows it by."""
        mid, index = candidate.sdpMid, candidate.sdpMLineIndex
        if not mid and index is not None and index < len(self._mids):
            mid = self._mids[index]
        if mid in self._bundle:
            mid = next((one for one in self._bundle if one in self._served), mid)
        moved = copy(candidate)
        moved.sdpMid, moved.sdpMLineIndex = mid or None, None if mid else index
        return moved


def take_offer(text: str, kind: str) -> Offer:
    """What a session is opened for; ApiError 400 unless it is an offer that sends video in a codec known here."""
    if kind != "offer":
        raise ApiError(400, "bad_sdp", f"The description is of type {kind!r}, not an offer.", "Send your offer.")
    offer = Offer(text)
    videos = [one for one in offer.lines if one.kind == "video"]
    if not videos:
        raise ApiError(400, "no_video", "The offer has no video line.", "Add a camera track before the offer.")
    if not any(one.direction in SENDING for one in videos):
        raise ApiError(400, "no_video", "The offer does not send video.", "Offer it as sendrecv.")
    _check_codecs(offer, [one for one in videos if one.direction in SENDING])
    return offer


def take_watch_offer(text: str) -> Offer:
    """What somebody watches by; ApiError 400 unless it is an offer that receives video in a codec known here."""
    offer = Offer(text)
    videos = [one for one in offer.lines if one.kind == "video" and one.direction in RECEIVING]
    if not videos:
        raise ApiError(400, "no_video", "The offer does not receive video.", "Offer it as recvonly.")
    _check_codecs(offer, videos)
    return offer


def _check_codecs(offer: Offer, videos: Sequence[sdp.MediaDescription]) -> None:
    if any(offer.serves(one) for one in videos):
        return
    codecs = [codec for one in videos for codec in one.rtp.codecs if not is_rtx(codec)]
    offered = ", ".join(dict.fromkeys(describe_h264(one) if one.name == "H264" else one.name for one in codecs))
    known = ", ".join(sorted({codec.name for codec in CODECS["video"] if not is_rtx(codec)}))
    message = f"None of the video codecs offered is known here: {offered or 'there is none'}."
    hint = f"Offer one of: {known}; H264 of the profiles Baseline, Main, or High, in packetization mode 0 or 1."
    raise ApiError(400, "no_common_codec", message, hint)


def _parse(text: str) -> list[sdp.MediaDescription]:
    try:
        description = sdp.SessionDescription.parse(text)
    except Exception as error:  # the parser raises whatever the text leads it into
        raise bad_sdp("it cannot be parsed") from error
    for section in description.media:
        if section.ice is None or not section.ice.usernameFragment or not section.ice.password:
            raise bad_sdp("it lacks ICE credentials")
        if section.dtls is None or not section.dtls.fingerprints:
            raise bad_sdp("it lacks a DTLS fingerprint")
    return list(description.media)


def bad_sdp(reason: str) -> ApiError:
    """An offer that cannot be used."""
    return ApiError(400, "bad_sdp", f"The SDP is no usable offer: {reason}.", "Send pc.localDescription unchanged.")
