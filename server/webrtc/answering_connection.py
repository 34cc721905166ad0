"""A connection that answers: which of an offer's media lines are used, for what, and what the client finds later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError

from aiortc_fixes import limit_gathering, parse_offer, pool_encoding, speak_gnutls, wait_for_checks
from server.config import ServerConfig
from server.errors import ApiError
from server.webrtc.offers import Offer, bad_sdp

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
Candidates = Sequence[RTCIceCandidate]


class AnsweringConnection:
    """An `RTCPeerConnection` that is offered to, with the server's own STUN and TURN servers."""

    def __init__(self, config: ServerConfig, encoding: ThreadPoolExecutor) -> None:
        """`encoding`: where all that is sent is encoded."""
        self._config = config
        self._encoding = encoding
        self._offer: Offer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # An empty list, not None: aiortc takes None to mean Google's STUN server.
        servers = [RTCIceServer(one.url, one.username, one.credential) for one in config.relay.for_client()]
        # Of lines that share a transport from the begin, those of a kind would stay on the first one's when a bundle
        # moves that to another.
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_COMPAT))

    async def take(self, offer: Offer) -> None:
        """Set the offer's lines up; none of them is used yet. ApiError 400 where aiortc can make nothing of it."""
        self._offer = offer
        try:
            await self.peer.setRemoteDescription(await parse_offer(wait_for_checks(offer.text)))
        except Exception as error:  # aiortc raises whatever the text leads it into
            raise bad_sdp(str(error) or type(error).__name__) from error
        for line in self.peer.getTransceivers():
            line.direction = "inactive"
        if offer.is_of_ffmpeg:
            speak_gnutls(self.peer)

    def receive(self, kind: str) -> RTCRtpTransceiver | None:
        """The first line on which the client sends, which is received from here on; the others stay closed."""
        source = next((one for one in self._lines(kind) if one._offerDirection in ("sendrecv", "recvonly")), None)
        if source is not None:
            source.direction = "recvonly"
        return source

    def send(self, track: MediaStreamTrack, source: RTCRtpTransceiver | None = None) -> bool:
        """Send a track where the client takes it: on the line `source`, else on the first that does; whether one does.

        It may be a line that is received on as well.
        """
        lines = self._lines(track.kind)
        ways = lines if source is None else [source, *lines]
        line = next((one for one in ways if one._offerDirection in ("sendrecv", "sendonly")), None)
        if line is None:
            return False
        line.sender.replaceTrack(track)
        line.direction = "sendrecv" if line.direction == "recvonly" else "sendonly"
        return True

    def _lines(self, kind: str) -> list[RTCRtpTransceiver]:
        return [one for one in self.peer.getTransceivers() if one.kind == kind]

    async def answer(self) -> RTCSessionDescription:
        """The answer to the offer taken, with this side's candidates in it; ApiError 503 without any address."""
        assert self._offer is not None
        pool_encoding(self.peer, self._encoding)
        with limit_gathering(self._config.udp_ports, self._config.gather_seconds):
            await self.peer.setLocalDescription(await self.peer.createAnswer())
        given = self.peer.localDescription
        if "a=candidate" not in given.sdp:
            message = "No UDP port is free for the video."
            raise ApiError(503, "no_port", message, "Widen --udp-port-range.", {"Retry-After": "5"})
        return self._offer.complete(given)

    def add_candidates(self, candidates: Candidates) -> None:
        """Take addresses that the client found after its offer; names of mDNS are looked up meanwhile."""
        assert self._offer is not None
        self.begin(self._add([self._offer.route(one) for one in candidates]))

    async def _add(self, candidates: Candidates) -> None:
        for one in candidates:
            try:
                await self.peer.addIceCandidate(one)
            except (ValueError, InvalidStateError) as error:
                logger.info("A candidate is of no use: %s", error)

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Do what ends with the connection, at the latest."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End the connection and what was begun; safe to call twice."""
        self.peer.remove_all_listeners()
        try:
            await asyncio.wait_for(self.peer.close(), CLOSE_SECONDS)
        except TimeoutError:
            logger.warning("A connection did not close within %g s", CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
