"""A connection that answers: which of an offer's media lines are used, and for what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from aiortc_fixes import limit_gathering, parse_offer, pool_encoding, speak_gnutls, wait_for_checks
from server.config import ServerConfig
from server.errors import ApiError
from server.webrtc.offers import Offer, bad_sdp


def new_connection(config: ServerConfig) -> RTCPeerConnection:
    """A connection that is to be offered to, with the server's own STUN and TURN servers."""
    # An empty list, not None: aiortc takes None to mean Google's STUN server.
    servers = [RTCIceServer(one.url, one.username, one.credential) for one in config.relay.for_client()]
    # Of lines that share a transport from the begin, those of a kind would stay on the first one's when a bundle moves
    # that to another.
    return RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_COMPAT))


async def take(connection: RTCPeerConnection, offer: Offer) -> None:
    """Set the offer's lines up; none of them is used yet. ApiError 400 where aiortc can make nothing of it."""
    try:
        await connection.setRemoteDescription(await parse_offer(wait_for_checks(offer.text)))
    except Exception as error:  # aiortc raises whatever the text leads it into
        raise bad_sdp(str(error) or type(error).__name__) from error
    for line in connection.getTransceivers():
        line.direction = "inactive"
    if offer.is_of_ffmpeg:
        speak_gnutls(connection)


def line_to_receive(connection: RTCPeerConnection, kind: str) -> RTCRtpTransceiver | None:
    """The first line on which the client sends, which is received from here on; the others stay closed."""
    source = next((one for one in _lines(connection, kind) if _find_offered(one) in ("sendrecv", "recvonly")), None)
    if source is not None:
        source.direction = "recvonly"
    return source


def line_to_send_on(
    connection: RTCPeerConnection, kind: str, source: RTCRtpTransceiver | None = None
) -> RTCRtpTransceiver | None:
    """The line on which the client takes what is sent: `source`, or where that takes nothing, the first that does."""
    lines = _lines(connection, kind)
    ways = lines if source is None else [source, *lines]
    return next((one for one in ways if _find_offered(one) in ("sendrecv", "sendonly")), None)


def _lines(connection: RTCPeerConnection, kind: str) -> list[RTCRtpTransceiver]:
    return [one for one in connection.getTransceivers() if one.kind == kind]


def _find_offered(line: RTCRtpTransceiver) -> str | None:
    """The direction that a line's offer allows here."""
    return line._offerDirection


def send_on(line: RTCRtpTransceiver, track: MediaStreamTrack) -> None:
    """Send a track on a line that may be received on as well."""
    line.sender.replaceTrack(track)
    line.direction = "sendrecv" if line.direction == "recvonly" else "sendonly"


async def answer(
    connection: RTCPeerConnection, offer: Offer, config: ServerConfig, encoding: ThreadPoolExecutor
) -> RTCSessionDescription:
    """The answer to an offer that was taken, with this side's candidates in it; ApiError 503 without any address."""
    pool_encoding(connection, encoding)
    with limit_gathering(config.udp_ports, config.gather_seconds):
        await connection.setLocalDescription(await connection.createAnswer())
    given = connection.localDescription
    if "a=candidate" not in given.sdp:
        message = "No UDP port is free for the video."
        raise ApiError(503, "no_port", message, "Widen --udp-port-range.", {"Retry-After": "5"})
    return offer.complete(given)
