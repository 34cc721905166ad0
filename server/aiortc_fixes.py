"""What aiortc and aioice lack for a service, done from outside. tests/server/test_aiortc_fixes.py tells when to go.

Each work-around states the fact it stands on. All of them reach into private names, which is why they live here.
"""

from __future__ import annotations

import asyncio
import queue
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from typing import Any
from weakref import WeakKeyDictionary

import aioice.ice
import aioice.turn
import aiortc.codecs
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver
from aiortc.codecs import h264, vpx
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from av import CodecContext, VideoFrame
from av.video.codeccontext import VideoCodecContext

from server.config import PortRange

AUDIO_PREFETCH_SECONDS = 0.08
"""aiortc's audio jitter buffer holds four packets of 20 ms back; its video jitter buffer holds none."""

RECEIVER = "_RTCRtpReceiver__"
"""Before the name of each of its private attributes."""
DATAGRAMS = 1024
ENCODED = {"video": 30, "audio": 50}
DECODED = {"video": 2, "audio": 50}


class NewestQueue(asyncio.Queue[Any]):
    """An `asyncio.Queue` that makes room by discarding its oldest item instead of waiting or raising."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.discarded = 0

    def put_nowait(self, item: Any) -> None:
        while self.full():
            self.get_nowait()
            self.discarded += 1
        super().put_nowait(item)

    async def put(self, item: Any) -> None:
        self.put_nowait(item)


class EncodedQueue(queue.Queue[Any]):
    """Encoded frames on their way to the decoder's thread, at most `limit`.

    A video frame can be decoded only after those it refers to: once one is discarded, so are all up to the next
    keyframe, and `lost` is set, upon which aiortc asks the sender for that keyframe.
    """

    def __init__(self, limit: int, lost: threading.Event, *, video: bool) -> None:
        super().__init__()
        self._limit = limit
        self._lost = lost
        self._video = video
        self._broken = False
        self.discarded = 0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is not None and self._is_discarded(*item):
            self.discarded += 1
            return
        super().put(item, block, timeout)

    def _is_discarded(self, codec: Any, frame: JitterFrame) -> bool:
        if self.qsize() >= self._limit:
            self._broken = self._video
            if self._video:
                self._lost.set()
            return True
        if self._broken and is_keyframe(codec.name, frame.data):
            self._broken = False
        return self._broken


def is_keyframe(codec_name: str, data: bytes) -> bool:
    """Whether an encoded picture can be decoded without those before it; True for codecs not known here."""
    if codec_name == "VP8":  # RFC 6386 section 9.1: the lowest bit of a key frame's tag is 0
        return bool(data) and not data[0] & 1
    if codec_name == "H264":  # NAL unit types 5 (IDR picture) and 7 (sequence parameters)
        return any(match[1][0] & 0x1F in (5, 7) for match in re.finditer(rb"\x00\x00\x01(.)", data, re.DOTALL))
    return True


class MarkerJitterBuffer(JitterBuffer):
    """A video jitter buffer that hands a frame out with its last packet.

    aiortc waits for the first packet of the next frame, which costs one frame's time; the marker bit says that a
    packet is a frame's last (RFC 7741 section 4.1, RFC 6184 section 5.1).
    """

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        frame = super()._remove_frame(sequence_number)
        return frame if frame is not None else self._remove_marked()

    def _remove_marked(self) -> JitterFrame | None:
        packets: list[Any] = []
        assert self._origin is not None
        for count in range(self.capacity):
            packet: Any = self._packets[(self._origin + count) % self.capacity]
            if packet is None or (packets and packet.timestamp != packets[0].timestamp):
                return None
            packets.append(packet)
            if packet.marker:
                self.remove(len(packets))
                return JitterFrame(data=b"".join(one._data for one in packets), timestamp=packet.timestamp)
        return None


def bound_receiver(peer: RTCPeerConnection, track: MediaStreamTrack) -> None:
    """Bound every queue that leads to `track`; call it in the "track" event, before media flows.

    aiortc's three queues (datagrams, encoded frames, decoded frames) are unbounded: where decoding or the reader of
    the track is slower than the sender, delay and memory grow without end.
    """
    receiver = next(one for one in peer.getReceivers() if one.track is track)
    lost = getattr(receiver, f"{RECEIVER}decoder_error")
    encoded = EncodedQueue(ENCODED[track.kind], lost, video=track.kind == "video")
    _replace(receiver, f"{RECEIVER}decoder_queue", encoded)
    _replace(track, "_queue", NewestQueue(DECODED[track.kind]))
    if track.kind == "video":
        _replace(receiver, f"{RECEIVER}jitter_buffer", MarkerJitterBuffer(capacity=512, is_video=True))
    _bound_datagrams(receiver)


def _bound_datagrams(receiver: RTCRtpReceiver) -> None:
    connection = receiver.transport.transport._connection
    if not isinstance(connection._queue, NewestQueue):
        _replace(connection, "_queue", NewestQueue(DATAGRAMS))


def _replace(owner: object, name: str, value: object) -> None:
    """Set an attribute that must exist already: a renamed private must fail, not be added beside the new one."""
    getattr(owner, name)
    setattr(owner, name, value)


LEAST_BITRATE = 1_000_000
"""What an encoder may be asked to go down to.

It counts on 30 pictures a second: at the 10 of a slow model it makes a third of this. A browser's estimate of the path
follows what it receives, so a lower bound would be reached by itself, and faces would fall into blocks.
"""


def set_bitrates(start: int, maximum: int) -> None:
    """Bits a second of the video encoders made from now on, in the whole process.

    aiortc has them as constants, at most 1.5 Mbit/s for VP8, which is blurred at 720p.
    """
    for codec in (vpx, h264):
        _replace(codec, "DEFAULT_BITRATE", start)
        _replace(codec, "MAX_BITRATE", maximum)
        _replace(codec, "MIN_BITRATE", min(start, LEAST_BITRATE))


class QuickH264Encoder(h264.H264Encoder):
    """An H.264 encoder that leaves the processor to the networks.

    aiortc uses x264's preset "medium": 13 ms of processor time for a picture of 640x480, where "veryfast" takes 4 ms
    for the same picture in as many bytes.
    """

    def _encode_frame(self, frame: VideoFrame, force_keyframe: bool) -> Iterator[bytes]:
        if self.codec is None or not self._suits(self.codec, frame):
            self.codec = self._new_codec(frame)
        yield from super()._encode_frame(frame, force_keyframe)

    def _suits(self, codec: VideoCodecContext, frame: VideoFrame) -> bool:
        same_size = (codec.width, codec.height) == (frame.width, frame.height)
        return same_size and abs(self.target_bitrate - (codec.bit_rate or 1)) / (codec.bit_rate or 1) <= 0.1

    def _new_codec(self, frame: VideoFrame) -> VideoCodecContext:
        codec = CodecContext.create("libx264", "w")
        codec.width, codec.height = frame.width, frame.height
        codec.bit_rate = self.target_bitrate
        codec.pix_fmt = "yuv420p"
        codec.framerate = Fraction(h264.MAX_FRAME_RATE, 1)
        codec.time_base = Fraction(1, h264.MAX_FRAME_RATE)
        codec.options = {"level": "31", "tune": "zerolatency", "preset": "veryfast"}
        codec.profile = "Baseline"
        return codec


def wait_for_checks(sdp: str) -> str:
    """`sdp` without its end-of-candidates.

    aioice gives up at once when it knows no usable candidate of the peer and none is to come, as with a browser
    that hides its addresses behind mDNS names; the peer's own checks would have made the connection.
    """
    return re.sub(r"a=end-of-candidates\r?\n?", "", sdp)


_ports: ContextVar[PortRange | None] = ContextVar("udp_ports", default=None)
_gather = aioice.ice.Connection.get_component_candidates
_addresses = aioice.ice.get_host_addresses


@contextmanager
def udp_ports(ports: PortRange | None) -> Iterator[None]:
    """Candidates gathered within listen on `ports`; aioice itself lets the system choose any."""
    token = _ports.set(ports)
    try:
        yield
    finally:
        _ports.reset(token)


_heard: WeakKeyDictionary[aioice.ice.Connection, float] = WeakKeyDictionary()
_datagram_received = aioice.ice.StunProtocol.datagram_received


def heard_at(peer: RTCPeerConnection) -> float | None:
    """When anything last came from the other end, seconds of the monotonic clock; None before it is connected.

    Media, their reports, messages and ICE's own checks count alike: a peer that lives sends one each few seconds,
    even where its video is muted. aioice itself gives a dead peer up after half a minute.
    """
    times = [_heard[one] for one in _ice_connections(peer) if one in _heard]
    return max(times, default=None)


def _ice_connections(peer: RTCPeerConnection) -> list[aioice.ice.Connection]:
    transports = [receiver.transport for receiver in peer.getReceivers()]
    transports += [peer.sctp.transport] if peer.sctp is not None else []
    return [one.transport._connection for one in transports]


def _note_datagram(self: aioice.ice.StunProtocol, data: bytes | str, addr: tuple[Any, ...]) -> None:
    # Of the peer's own address only: anyone can send to an open port.
    if any(pair.remote_addr == tuple(addr[:2]) for pair in self.receiver._nominated.values()):
        _heard[self.receiver] = time.monotonic()
    _datagram_received(self, data, addr)


def refresh(peer: RTCPeerConnection) -> None:
    """Make the next picture sent a keyframe: what a client saw before a pause may be lost to it."""
    for sender in peer.getSenders():
        if sender.kind == "video":
            sender._send_keyframe()


def install() -> None:
    """Put what concerns candidates, life signs and the H.264 encoder in place, process-wide; safe to call again."""
    _replace(aioice.ice.StunProtocol, "datagram_received", _note_datagram)
    _replace(aiortc.codecs, "H264Encoder", QuickH264Encoder)
    _replace(aioice.ice, "get_host_addresses", host_addresses)
    _replace(aioice.ice.Connection, "get_component_candidates", _component_candidates)


def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """This machine's addresses; the loopback where there is no other, which aioice leaves out always."""
    return _addresses(use_ipv4, use_ipv6) or ["127.0.0.1"]


async def _component_candidates(
    self: aioice.ice.Connection, component: int, addresses: list[str], timeout: int = 5
) -> list[Candidate]:
    ports = _ports.get()
    if ports is None:
        return await _gather(self, component, addresses, timeout)
    protocols = [await _listen(self, address, ports) for address in addresses]
    found = [_host_candidate(one, component) for one in protocols if one is not None]
    self._protocols += [one for one in protocols if one is not None]
    found += await _reflexive(self, timeout)
    return found + await _gather(self, component, [], timeout)


async def _listen(connection: aioice.ice.Connection, address: str, ports: PortRange) -> aioice.ice.StunProtocol | None:
    """A socket on the first free port of the range, begun anywhere in it; None where all are taken."""
    loop = asyncio.get_running_loop()
    begin = random.randrange(len(ports))
    for step in range(len(ports)):
        port = ports.first + (begin + step) % len(ports)
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: aioice.ice.StunProtocol(connection), local_addr=(address, port)
            )
        except OSError:
            continue
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, aioice.turn.UDP_SOCKET_BUFFER_SIZE
        )
        return protocol
    return None


def _host_candidate(protocol: aioice.ice.StunProtocol, component: int) -> Candidate:
    host, port = protocol.transport.get_extra_info("sockname")[:2]
    protocol.local_candidate = Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=host,
        port=port,
        type="host",
    )
    return protocol.local_candidate


async def _reflexive(connection: aioice.ice.Connection, timeout: int) -> list[Candidate]:
    """What the STUN server, where there is one, sees of the IPv4 sockets."""
    server = connection.stun_server
    sockets = [one for one in connection._protocols if ":" not in one.local_candidate.host]
    if server is None or not sockets:
        return []
    asked = [asyncio.create_task(aioice.ice.server_reflexive_candidate(one, server)) for one in sockets]
    done, late = await asyncio.wait(asked, timeout=timeout)
    for task in late:
        task.cancel()
    return [task.result()[0] for task in done if task.exception() is None]
