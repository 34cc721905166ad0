"""The work-arounds for aiortc and aioice, and the facts they stand on: a test that fails says which to revisit."""

from __future__ import annotations

import asyncio
import inspect
import queue
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aioice.ice
import aiortc.codecs
import av
import numpy as np
import pytest
from aioice import stun
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import h264, vpx
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket
from av import VideoFrame
from OpenSSL import SSL

import aiortc_fixes
from aiortc_fixes import (
    bound_receiver,
    limit_gathering,
    new_pool,
    pool_encoding,
    set_bitrates,
    wait_for_checks,
)
from aiortc_fixes import dtls as dtls_fixes
from aiortc_fixes import ice as ice_fixes
from aiortc_fixes.codecs import (
    BUFFER_SECONDS,
    LONGEST_SHARE,
    BoundedH264Decoder,
    BoundedVp8Decoder,
    QuickH264Encoder,
    QuickVp8Encoder,
)
from aiortc_fixes.h264 import SingleNalEncoder, choose_encoder
from aiortc_fixes.ice import list_host_addresses
from aiortc_fixes.jitter_buffers import HELD_BACK, MarkerJitterBuffer, SoundJitterBuffer
from aiortc_fixes.nacks import ASK_AGAIN_SECONDS, RepeatingNackGenerator
from aiortc_fixes.privates import RECEIVER, SENDER, replace
from aiortc_fixes.queues import ENCODED_SECONDS, EncodedQueue, NewestQueue, is_keyframe
from server.frames.frame_arrays import normalise
from tests.patience import PATIENCE_SECONDS, until
from tests.ports import free_udp_ports
from tests.server.world import CLOCK, Camera, Microphone, draw_blotches

VP8 = SimpleNamespace(name="VP8")


@asynccontextmanager
async def offered(*tracks: MediaStreamTrack) -> AsyncIterator[tuple[RTCPeerConnection, list[MediaStreamTrack]]]:
    """A peer that has taken an offer of `tracks`, and the tracks it will receive."""
    caller, callee = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    received: list[MediaStreamTrack] = []
    callee.on("track", received.append)
    for track in tracks:
        caller.addTrack(track)
    await caller.setLocalDescription(await caller.createOffer())
    await callee.setRemoteDescription(caller.localDescription)
    yield callee, received
    await caller.close()
    await callee.close()


def private(peer: RTCPeerConnection, index: int, name: str) -> Any:
    return getattr(peer.getReceivers()[index], RECEIVER + name)


# ---- the facts


async def test_the_queues_of_aiortc_are_still_unbounded() -> None:
    async with offered(Camera(), Microphone()) as (peer, tracks):
        for index, track in enumerate(tracks):
            assert type(track._queue) is asyncio.Queue  # type: ignore[attr-defined]
            assert track._queue.maxsize == 0  # type: ignore[attr-defined]
            assert type(private(peer, index, "decoder_queue")) is queue.Queue
            assert private(peer, index, "decoder_queue").maxsize == 0
            assert isinstance(private(peer, index, "decoder_error"), threading.Event)
            assert private(peer, index, "decoder_thread") is None, "it starts after the track event"
        connection = peer.getReceivers()[0].transport.transport._connection
        assert type(connection._queue) is asyncio.Queue
        assert connection._queue.maxsize == 0


def lags(buffer: JitterBuffer, lost: set[int]) -> list[int]:
    """How many packets of sound behind the one that comes the one given out is, for each one given out of 200."""
    found = []
    for number in range(200):
        frame = None if number in lost else buffer.add(packet(number, 960 * number))[1]
        if frame is not None:
            found.append(number - frame.timestamp // 960)
    return found


def test_sound_still_stays_behind_after_a_loss() -> None:
    assert {*lags(JitterBuffer(16, prefetch=4), {50})} == {4, 14}


def test_a_frame_is_still_given_out_only_with_the_next_one() -> None:
    assert JitterBuffer(16, is_video=True).add(packet(0, 100, marker=True)) == (False, None)


def test_aiortc_still_speaks_to_peers_with_ecdsa_certificates_only() -> None:
    assert "ECDHE-RSA" not in inspect.getsource(dtls_fixes._create)


def test_peers_with_rsa_certificates_are_spoken_to() -> None:
    aiortc_fixes.install()
    context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    names = SSL.Connection(context).get_cipher_list()
    assert {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"} <= set(names)


def test_aioice_still_leaves_the_loopback_out() -> None:
    assert "127.0.0.1" not in ice_fixes._addresses(True, True)


def test_aioice_still_lets_the_system_choose_ports() -> None:
    assert "local_addr=(address, 0)" in inspect.getsource(ice_fixes._gather)


async def test_aioice_still_gives_up_at_once_without_candidates() -> None:
    connection = aioice.ice.Connection(ice_controlling=False)
    await connection.gather_candidates()
    connection.remote_username, connection.remote_password = "abcd", "x" * 22
    await connection.add_remote_candidate(None)
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(connection.connect(), PATIENCE_SECONDS)
    await connection.close()


def test_the_encoders_still_take_their_bitrates_from_constants() -> None:
    set_bitrates(2_000_000, 1_000_000, 5_000_000)
    for encoder in (vpx.Vp8Encoder(), QuickVp8Encoder(), h264.H264Encoder(), QuickH264Encoder()):
        assert encoder.target_bitrate == 2_000_000
        encoder.target_bitrate = 9_000_000
        assert encoder.target_bitrate == 5_000_000
        payloads, _ = encoder.encode(blank())
        assert payloads, "no picture is held back"
        assert encoder.codec is not None
        assert encoder.codec.bit_rate == 5_000_000
        encoder.target_bitrate = 1
        assert encoder.target_bitrate == 1_000_000


def test_aiortc_still_encodes_h264_with_the_slow_preset() -> None:
    assert "preset" not in inspect.getsource(h264.H264Encoder)


def test_h264_is_encoded_with_a_quick_preset_and_made_anew_only_where_needed() -> None:
    aiortc_fixes.install()
    encoder = aiortc.codecs.get_encoder(aiortc.codecs.CODECS["video"][2])
    assert isinstance(encoder, QuickH264Encoder)
    payloads, _ = encoder.encode(blank())
    # x264 writes its settings into the first picture: "medium" refines motion with subme=7
    assert b"subme=1" in b"".join(payloads)
    first = encoder.codec
    encoder.encode(blank(pts=3000))
    assert encoder.codec is first
    encoder.encode(blank(pts=6000, side=96))
    assert encoder.codec is not None and encoder.codec.width == 96
    encoder.target_bitrate *= 2
    for number in range(12):
        encoder.encode(blank(pts=9000 + 3000 * number, side=96))
    assert encoder.codec.bit_rate == pytest.approx(encoder.target_bitrate, rel=0.01)


def test_vp8_is_encoded_as_it_is_and_made_anew_only_where_needed() -> None:
    aiortc_fixes.install()
    encoder = aiortc.codecs.get_encoder(aiortc.codecs.CODECS["video"][0])
    assert isinstance(encoder, QuickVp8Encoder)
    encoder.encode(blank())
    first = encoder.codec
    encoder.encode(blank(pts=3000))
    assert encoder.codec is first
    encoder.encode(blank(pts=6000, side=96))
    assert encoder.codec is not None and encoder.codec.width == 96
    encoder.target_bitrate *= 2
    encoder.encode(blank(pts=9000, side=96))
    assert encoder.codec.bit_rate == encoder.target_bitrate
    assert error_of(QuickVp8Encoder()) < 0.8 * error_of(vpx.Vp8Encoder()), "aiortc still has noise taken away"


def error_of(encoder: vpx.Vp8Encoder) -> float:
    """Mean error of what slowly fades, with some grain, as it is sent, grey levels."""
    decoder, errors = BoundedVp8Decoder(), []
    still = np.random.default_rng(0).integers(100, 140, (144, 192), np.uint8)
    for number in range(12):
        grain = np.random.default_rng(number).integers(0, 4, still.shape, np.uint8)
        picture = np.full((216, 192), 128, np.uint8)
        picture[:144] = still // 4 + 2 * number + grain
        frame = VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = 3000 * number, CLOCK
        payloads, timestamp = encoder.encode(frame)
        data = b"".join(map(vpx.vp8_depayload, payloads))
        (shown,) = decoder.decode(JitterFrame(data=data, timestamp=timestamp))
        assert isinstance(shown, VideoFrame)
        errors.append(np.abs(shown.to_ndarray()[:144].astype(np.float32) - picture[:144]).mean())
    return float(np.mean(errors[4:]))


def moving(number: int, fps: int) -> VideoFrame:
    """One of a row of noisy pictures, which no encoder makes small."""
    pixels = np.random.default_rng(number).integers(0, 255, (72, 64), np.uint8).repeat(2, 0).repeat(3, 1)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="yuv420p")
    frame.pts, frame.time_base = number * 90000 // fps, CLOCK
    return frame


def test_aiortc_still_counts_on_thirty_pictures_a_second() -> None:
    assert spent(h264.H264Encoder(), fps=10) < 0.5 * 500_000


@pytest.mark.parametrize("fps", [10, 30])
def test_a_slow_model_gets_all_the_bits_asked_for(fps: int) -> None:
    assert spent(QuickH264Encoder(), fps) == pytest.approx(500_000, rel=0.2)


def blotchy(number: int, seconds: float) -> VideoFrame:
    frame = VideoFrame.from_ndarray(draw_blotches(number), format="rgb24")
    frame.pts, frame.time_base = round(seconds * 90000), CLOCK
    return frame


LATE = np.random.default_rng(0)
TIMES = {
    "after a pause": [*np.arange(0, 4, 1 / 15), *np.arange(7, 9, 1 / 15)],
    "three times the pictures": [*np.arange(0, 4, 1 / 5), *np.arange(4, 6, 1 / 15)],
    "now more and now less": [
        second + at for second in range(6) for at in np.arange(0, 0.99, 1 / (5 + 10 * (second % 2)))
    ],
    "some left out": [*np.sort(LATE.choice(90, 50, replace=False)) / 15],
    "all late": [*np.cumsum(LATE.exponential(1 / 10, 60))],
}
"""When pictures come, seconds."""


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("bitrate", [400_000, 1_600_000])
def test_whenever_pictures_come_no_more_than_a_buffer_is_spent_beyond_the_bitrate(
    times: list[float], bitrate: int
) -> None:
    set_bitrates(bitrate, bitrate, bitrate)
    encoder = QuickH264Encoder()
    bits = np.array([8 * sum(map(len, encoder.encode(blotchy(number, at))[0])) for number, at in enumerate(times)])
    for first, begin in enumerate(times):
        for last, end in enumerate(times[first:], first):
            took = end - begin + LONGEST_SHARE + BUFFER_SECONDS
            assert bits[first : last + 1].sum() < 1.05 * took * bitrate, (begin, end)
    earned = np.diff(times).clip(max=LONGEST_SHARE).sum()
    assert bits.sum() > 0.8 * earned * bitrate, "nor less than they are worth"


def test_a_new_bitrate_shows_in_the_bytes() -> None:
    encoder = QuickH264Encoder()
    encoder.target_bitrate = 1_000_000
    sizes = []
    for number in range(180):
        if number == 90:
            encoder.target_bitrate = 500_000
        sizes.append(sum(map(len, encoder.encode(moving(number, 15))[0])))
    assert 8 * sum(sizes[45:90]) / 3 == pytest.approx(1_000_000, rel=0.25)
    assert 8 * sum(sizes[135:]) / 3 == pytest.approx(500_000, rel=0.25)


def spent(encoder: h264.H264Encoder, fps: int) -> float:
    """Bits a second that an encoder makes when asked for 500,000, after three seconds."""
    encoder.target_bitrate = 500_000
    sizes = [sum(map(len, encoder.encode(moving(number, fps))[0])) for number in range(6 * fps)]
    return 8 * sum(sizes[3 * fps :]) / 3


def test_decoders_still_take_a_thread_a_processor_unless_bounded() -> None:
    assert h264.H264Decoder().codec.thread_count == vpx.Vp8Decoder().codec.thread_count == 0
    assert BoundedH264Decoder().codec.thread_count == BoundedVp8Decoder().codec.thread_count == 1
    aiortc_fixes.install()
    made = [type(aiortc.codecs.get_decoder(codec)) for codec in aiortc.codecs.CODECS["video"] if codec.name != "rtx"]
    assert set(made) == {BoundedH264Decoder, BoundedVp8Decoder}


async def test_a_sender_encodes_in_the_pool_given() -> None:
    async with offered(Camera()) as (peer, _):
        peer.addTrack(Camera())
        assert getattr(peer.getSenders()[0], SENDER + "loop") is asyncio.get_running_loop()
        pool = new_pool()
        pool_encoding(peer, pool)
        used = await getattr(peer.getSenders()[0], SENDER + "loop").run_in_executor(None, threading.current_thread)
        assert used.name.startswith("encoder")
        pool.shutdown()


RATES = ("DEFAULT_BITRATE", "MIN_BITRATE", "MAX_BITRATE")
SHIPPED = {(codec, name): getattr(codec, name) for codec in (vpx, h264) for name in RATES}
"""As aiortc has them: pytest imports this before any test starts a server, which sets them for the whole process."""


@pytest.fixture(autouse=True)
def own_bitrates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever server ran in this process before, every test here begins with aiortc's bitrates."""
    for (codec, name), value in SHIPPED.items():
        monkeypatch.setattr(codec, name, value)


def blank(pts: int = 0, side: int = 64) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8), format="rgb24")
    frame.pts, frame.time_base = pts, CLOCK
    return frame


# ---- the work-arounds


async def test_every_queue_towards_a_track_is_bounded() -> None:
    async with offered(Camera(), Microphone()) as (peer, tracks):
        for track in tracks:
            bound_receiver(peer, track)
        for index, track in enumerate(tracks):
            assert isinstance(track._queue, NewestQueue)  # type: ignore[attr-defined]
            assert isinstance(private(peer, index, "decoder_queue"), EncodedQueue)
        assert isinstance(private(peer, 0, "jitter_buffer"), MarkerJitterBuffer)
        assert isinstance(private(peer, 0, "nack_generator"), RepeatingNackGenerator)
        assert isinstance(private(peer, 1, "jitter_buffer"), SoundJitterBuffer)
        assert isinstance(peer.getReceivers()[0].transport.transport._connection._queue, NewestQueue)


def rtp(number: int) -> RtpPacket:
    return RtpPacket(sequence_number=number)


def test_aiortc_still_asks_once_for_what_is_lost() -> None:
    asks = NackGenerator()
    assert [asks.add(rtp(number)) for number in (1, 2, 4, *range(5, 60))] == [False, False, True] + 55 * [False]
    assert asks.missing == {3}


def test_what_is_lost_twice_is_asked_for_again_until_it_comes() -> None:
    now = [100.0]
    asks = RepeatingNackGenerator(lambda: now[0])
    assert [asks.add(rtp(number)) for number in (1, 2, 4, 5)] == [False, False, True, False]
    now[0] += ASK_AGAIN_SECONDS
    assert [asks.add(rtp(number)) for number in (6, 7)] == [True, False]
    now[0] += ASK_AGAIN_SECONDS
    assert not asks.add(rtp(3)) and not asks.add(rtp(8)), "it has come"


async def test_a_private_that_is_gone_is_an_error() -> None:
    with pytest.raises(AttributeError):
        replace(SimpleNamespace(other=1), "queue", 2)


async def test_the_newest_items_stay() -> None:
    newest = NewestQueue(2)
    for item in range(5):
        await newest.put(item)
    assert [newest.get_nowait(), newest.get_nowait(), newest.discarded] == [3, 4, 3]


def key() -> tuple[object, JitterFrame]:
    return VP8, JitterFrame(b"\x10key", 0)


def delta() -> tuple[object, JitterFrame]:
    return VP8, JitterFrame(b"\x11delta", 0)


def test_after_a_lost_video_frame_decoding_goes_on_with_a_keyframe() -> None:
    lost = threading.Event()
    encoded = EncodedQueue(2, lost, video=True)
    for item in (key(), delta(), delta()):
        encoded.put(item)
    assert lost.is_set()
    assert (encoded.qsize(), encoded.discarded) == (0, 3)
    encoded.put(delta())
    assert encoded.qsize() == 0
    encoded.put(key())
    encoded.put(delta())
    assert (encoded.qsize(), encoded.discarded) == (2, 4)


def test_frames_that_wait_too_long_for_their_decoder_give_way_to_a_keyframe() -> None:
    now, lost = [0.0], threading.Event()
    encoded = EncodedQueue(30, lost, video=True, clock=lambda: now[0])
    for item in (key(), delta(), delta()):
        encoded.put(item)
    now[0] = ENCODED_SECONDS + 0.1
    encoded.put(delta())
    assert lost.is_set() and (encoded.qsize(), encoded.discarded) == (0, 4)
    encoded.put(delta())
    encoded.put(key())
    encoded.put(None)
    assert (encoded.qsize(), encoded.discarded) == (2, 5)
    assert encoded.get()[1].data == b"\x10key"
    assert encoded.get() is None


def test_a_full_queue_of_sound_loses_only_what_has_no_room_and_the_end_always_fits() -> None:
    lost = threading.Event()
    encoded = EncodedQueue(1, lost, video=False)
    encoded.put(delta())
    encoded.put(delta())
    encoded.put(None)
    assert not lost.is_set()
    encoded.get()
    assert encoded.get() is None
    encoded.put(delta())
    assert encoded.qsize() == 1


def test_keyframes_are_told_from_real_encoders() -> None:
    for name, encoder, depayload in (
        ("VP8", QuickVp8Encoder(), vpx.vp8_depayload),
        ("H264", QuickH264Encoder(), h264.h264_depayload),
    ):
        told = []
        for number, forced in enumerate((False, False, True)):
            frame = blank()
            frame.pts = 3000 * number
            payloads, _ = encoder.encode(frame, forced)
            told.append(is_keyframe(name, b"".join(depayload(one) for one in payloads)))
        assert told == [True, False, True], name


def packet(number: int, timestamp: int, *, marker: bool = False) -> Any:
    made = RtpPacket(sequence_number=number, timestamp=timestamp, marker=int(marker))
    made._data = bytes([number])  # type: ignore[attr-defined]
    return made


def out(buffer: JitterBuffer, *packets: Any) -> list[bytes]:
    frames = [buffer.add(one)[1] for one in packets]
    return [frame.data for frame in frames if frame is not None]


def test_a_frame_is_given_out_with_its_last_packet() -> None:
    buffer = MarkerJitterBuffer(16, is_video=True)
    assert out(buffer, packet(0, 100), packet(1, 100, marker=True)) == [b"\x00\x01"]
    assert out(buffer, packet(2, 200, marker=True)) == [b"\x02"]


def test_packets_out_of_order_are_waited_for() -> None:
    buffer = MarkerJitterBuffer(16, is_video=True)
    assert out(buffer, packet(0, 100, marker=True)) == [b"\x00"]
    assert out(buffer, packet(2, 200, marker=True)) == []
    assert out(buffer, packet(1, 200)) == [b"\x01\x02"]


def test_without_markers_the_next_frame_ends_one() -> None:
    buffer = MarkerJitterBuffer(16, is_video=True)
    assert out(buffer, packet(0, 100), packet(1, 100), packet(2, 200)) == [b"\x00\x01"]


@pytest.mark.parametrize("lost", [set(), {50}, {50, 52, 53}, set(range(60, 90))], ids=["none", "one", "some", "many"])
def test_sound_is_held_back_for_as_long_whatever_is_lost(lost: set[int]) -> None:
    behind = lags(SoundJitterBuffer(128), lost)
    assert len(behind) == 200 - len(lost) - HELD_BACK, "nothing that came is lost"
    assert set(behind[:40] + behind[-100:]) == {HELD_BACK}


def test_sound_that_comes_late_finds_its_place_while_it_can() -> None:
    buffer = SoundJitterBuffer(128)
    order = [0, 1, 3, 4, 2, 5, 6, 7, 9, 10, 11, 12, 13, 14, 8, 15, 16]
    assert out(buffer, *(packet(one, 960 * one) for one in order)) == [bytes([one]) for one in range(13) if one != 8]


async def test_candidates_listen_on_the_ports_allowed() -> None:
    aiortc_fixes.install()
    one, other, third = (aioice.ice.Connection(ice_controlling=False) for _ in range(3))
    allowed = free_udp_ports(2)
    with limit_gathering(allowed, 2.0):
        for connection in (one, other, third):
            await connection.gather_candidates()
    used = [{candidate.port for candidate in connection.local_candidates} for connection in (one, other, third)]
    assert used[0] | used[1] == set(allowed)
    assert third.local_candidates == []
    free = aioice.ice.Connection(ice_controlling=False)
    await free.gather_candidates()
    assert not set(allowed) & {candidate.port for candidate in free.local_candidates}
    for connection in (one, other, third, free):
        await connection.close()


async def test_a_server_that_never_answers_holds_nothing_up_for_long() -> None:
    aiortc_fixes.install()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = silent.getsockname()
        for ports in (None, free_udp_ports(8)):
            connection = aioice.ice.Connection(
                ice_controlling=False, stun_server=address, turn_server=address, turn_username="u", turn_password="p"
            )
            began = time.monotonic()
            with limit_gathering(ports, 0.3):
                await connection.gather_candidates()
            assert time.monotonic() - began < 2, "aioice itself waits five seconds"
            assert connection.local_candidates
            await connection.close()


async def order_of_checks() -> list[stun.Class]:
    """What a peer gets for its check, in order, over a socket of its own."""
    connection = aioice.ice.Connection(ice_controlling=False)
    await connection.gather_candidates()
    connection.remote_username, connection.remote_password = "abcd", "x" * 22
    connecting = asyncio.create_task(connection.connect())
    check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    check.attributes["USERNAME"] = f"{connection.local_username}:abcd"
    check.attributes["PRIORITY"], check.attributes["ICE-CONTROLLING"] = 1, 1
    check.add_message_integrity(connection.local_password.encode())
    loop, (candidate, *_) = asyncio.get_running_loop(), connection.local_candidates
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setblocking(False)
        await loop.sock_sendto(peer, bytes(check), (candidate.host, candidate.port))
        came = [await asyncio.wait_for(loop.sock_recv(peer, 1500), PATIENCE_SECONDS) for _ in range(2)]
    await connection.close()
    await asyncio.gather(connecting, return_exceptions=True)
    return [stun.parse_message(one).message_class for one in came]


async def test_aioice_still_answers_before_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice.Connection, "request_received", ice_fixes._request_received)
    assert await order_of_checks() == [stun.Class.RESPONSE, stun.Class.REQUEST]


async def test_a_peers_check_is_answered_after_its_own_was_sent() -> None:
    aiortc_fixes.install()
    assert await order_of_checks() == [stun.Class.REQUEST, stun.Class.RESPONSE]


async def test_a_sign_of_life_counts_whichever_way_of_a_peers_it_comes() -> None:
    connection = aioice.ice.Connection(ice_controlling=False)
    await connection.gather_candidates()
    protocol = connection._protocols[0]
    hosts = [aioice.Candidate("f", 1, "udp", 1, host, 9, "host") for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3")]
    chosen, other, unchecked = (aioice.ice.CandidatePair(protocol, one) for one in hosts)
    chosen.state = other.state = aioice.ice.CandidatePair.State.SUCCEEDED
    connection._check_list, connection._nominated = [chosen, other, unchecked], {1: chosen}
    for host in ("192.0.2.3", "192.0.2.4"):
        ice_fixes.note_datagram(protocol, b"\x80media", (host, 9))
        assert connection not in ice_fixes._heard, "anyone can send"
    ice_fixes.note_datagram(protocol, b"\x80media", ("192.0.2.2", 9))
    assert connection in ice_fixes._heard
    await connection.close()


async def test_a_machine_without_a_network_connects_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_fixes, "_addresses", lambda use_ipv4, use_ipv6: [])
    assert list_host_addresses(True, True) == ["127.0.0.1"]
    aiortc_fixes.install()
    async with offered(Camera()) as (peer, tracks):
        answer = await peer.createAnswer()
        await peer.setLocalDescription(answer)
        assert " 127.0.0.1 " in peer.localDescription.sdp
        assert len(tracks) == 1


def test_the_end_of_candidates_is_not_passed_on() -> None:
    sdp = "v=0\r\na=candidate:1\r\na=end-of-candidates\r\nm=audio\r\n"
    assert wait_for_checks(sdp) == "v=0\r\na=candidate:1\r\nm=audio\r\n"


async def test_a_peer_that_hides_its_addresses_is_waited_for() -> None:
    """As Firefox does: only names that cannot be resolved here, and no more to come."""
    caller, callee = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    caller.addTrack(Camera())
    await caller.setLocalDescription(await caller.createOffer())
    lines = caller.localDescription.sdp.splitlines(keepends=True)
    hidden = "".join(line for line in lines if not line.startswith("a=candidate"))
    await callee.setRemoteDescription(RTCSessionDescription(wait_for_checks(hidden), "offer"))
    await callee.setLocalDescription(await callee.createAnswer())
    await caller.setRemoteDescription(callee.localDescription)
    await until(lambda: callee.connectionState in ("connected", "failed"))
    assert callee.connectionState == "connected"
    await caller.close()
    await callee.close()


# ---- H.264 of other profiles


@pytest.mark.parametrize(
    ("profile", "pix_fmt"), [("high", "yuv420p"), ("high422", "yuv422p"), ("high10", "yuv420p10le")]
)
def test_h264_of_every_profile_taken_is_decoded(profile: str, pix_fmt: str) -> None:
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width = codec.height = 64
    codec.pix_fmt, codec.time_base = pix_fmt, CLOCK
    codec.options = {"tune": "zerolatency", "profile": profile}
    decoder = BoundedH264Decoder()
    frame = VideoFrame.from_ndarray(np.full((64, 64, 3), 150, np.uint8), format="rgb24").reformat(format=pix_fmt)
    frame.pts, frame.time_base = 0, CLOCK
    data = b"".join(bytes(one) for one in [*codec.encode(frame), *codec.encode(None)])
    frames: list[Any] = [*decoder.decode(JitterFrame(data, 0)), *decoder.codec.decode(None)]
    (decoded,) = frames
    assert abs(float(normalise(decoded).to_ndarray(format="rgb24").mean()) - 150) < 3


def test_aiortc_still_sends_fragments_whatever_was_agreed() -> None:
    assert any(one[0] & 0x1F in (24, 28) for one in h264.H264Encoder().encode(moving(0, 10))[0])


def test_in_packetization_mode_0_each_packet_is_a_whole_nal_unit() -> None:
    modes = {"0": SingleNalEncoder, "1": QuickH264Encoder}
    for mode, kind in modes.items():
        codec = RTCRtpCodecParameters("video/H264", 90000, payloadType=99, parameters={"packetization-mode": mode})
        assert type(choose_encoder(codec)) is kind
    encoder, decoder, shown = SingleNalEncoder(), BoundedH264Decoder(), 0
    for number in range(5):
        payloads, _ = encoder.encode(moving(number, 10))
        assert all(1 <= one[0] & 0x1F <= 23 and len(one) <= h264.PACKET_MAX for one in payloads)
        shown += len(decoder.decode(JitterFrame(b"".join(map(h264.h264_depayload, payloads)), 9000 * number)))
    assert shown == 5
