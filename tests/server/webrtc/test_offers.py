"""What is answered to offers of all shapes: each line, in order, as RFC 3264, 6184, 8829 and 9143 have it."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from aiortc.rtcicetransport import RTCIceCandidate

from server.errors import ApiError
from server.webrtc.offers import Offer, take_offer, take_watch_offer
from server.webrtc.peer import PeerCounts
from server.webrtc.session_description import Description
from tests.server.webrtc.offering import CODECS, Line, answering, bundled_only, offer_of

ALLOWED = {
    "sendrecv": {"sendrecv", "sendonly", "recvonly", "inactive"},
    "sendonly": {"recvonly", "inactive"},
    "recvonly": {"sendonly", "inactive"},
    "inactive": {"inactive"},
}
VIDEO, SOUND, DATA = Line("video"), Line("audio"), Line("application")


async def answered(*lines: Line, bundle: bool = True) -> list[str | None]:
    """Directions of the answer; None where a line is rejected."""
    async with answering(offer_of(lines, bundle=bundle)) as (_, answer):
        assert [one.kind for one in answer.sections] == [one.kind for one in lines]
        return [one.direction if one.port else None for one in answer.sections]


VIDEOS = {
    ("sendrecv",): ["sendrecv"],
    ("sendonly",): ["recvonly"],
    ("sendonly", "recvonly"): ["recvonly", "sendonly"],
    ("recvonly", "sendonly"): ["sendonly", "recvonly"],
    ("inactive", "sendrecv"): ["inactive", "sendrecv"],
    ("recvonly", "sendrecv"): ["inactive", "sendrecv"],
    ("sendrecv", "sendrecv"): ["sendrecv", "inactive"],
    ("sendonly", "sendrecv"): ["recvonly", "sendonly"],
    ("sendonly", "inactive"): ["recvonly", "inactive"],
}


@pytest.mark.parametrize("sound", [None, "sendrecv", "sendonly", "recvonly", "inactive"])
@pytest.mark.parametrize("offered", list(VIDEOS), ids="+".join)
async def test_edited_video_goes_out_on_the_line_that_receives_it(offered: tuple[str, ...], sound: str | None) -> None:
    heard = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "inactive", "inactive": "inactive"}
    for place in range(len(offered) + 1) if sound else [0]:
        lines = [Line("video", one) for one in offered]
        expected: list[str | None] = list(VIDEOS[offered])
        if sound:
            lines.insert(place, Line("audio", sound))
            expected.insert(place, heard[sound])
        assert await answered(*lines) == expected


@pytest.mark.parametrize(("offered", "expected"), [(["sendonly", "recvonly"], ["recvonly", "sendonly"])])
async def test_sound_goes_out_on_the_line_that_can_receive_it(offered: list[str], expected: list[str]) -> None:
    for order in (1, -1):
        lines = [Line("audio", one) for one in offered[::order]]
        assert await answered(*lines, Line("video", "sendonly")) == [*expected[::order], "recvonly"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([SOUND, bundled_only(VIDEO)], ["sendrecv", "sendrecv"]),
        ([SOUND, bundled_only(VIDEO), bundled_only(DATA)], ["sendrecv", "sendrecv", None]),
        ([DATA, bundled_only(VIDEO)], [None, "sendrecv"]),
        ([Line("audio", codecs=((99, "AAC/48000", ""),)), bundled_only(VIDEO)], [None, "sendrecv"]),
        ([Line("audio", port=0), VIDEO], [None, "sendrecv"]),
        ([Line("text"), VIDEO, SOUND], [None, "sendrecv", "sendrecv"]),
        ([VIDEO, Line("video", codecs=((99, "AV9/90000", ""),))], ["sendrecv", None]),
        ([Line("video", None), Line("audio", None)], ["sendrecv", "sendrecv"]),
        ([Line("video", named=False), Line("audio", named=False)], ["sendrecv", "sendrecv"]),
    ],
)
async def test_each_line_is_answered_or_rejected(lines: list[Line], expected: list[str | None]) -> None:
    async with answering(offer_of(lines)) as (_, answer):
        told = [one.direction if one.port and one.kind != "application" else None for one in answer.sections]
        assert told == expected
        for line, section in zip(lines, answer.sections, strict=True):
            assert section.has("mid") is line.named
            assert (section.port == 0) or (section.has("ice-ufrag") and section.has("fingerprint"))


async def test_a_bundle_is_answered_with_what_is_left_of_it() -> None:
    lines = [Line("text"), VIDEO, bundled_only(SOUND), Line("audio", port=0)]
    async with answering(offer_of(lines)) as (_, answer):
        assert list(answer.bundles()) == [["m1", "m2"]]
    async with answering(offer_of([VIDEO, SOUND], bundle=False)) as (_, answer):
        assert list(answer.bundles()) == []


@pytest.mark.parametrize("kind", ["video", "audio"])
@pytest.mark.parametrize("direction", ["sendrecv", "sendonly", "recvonly", "inactive"])
async def test_a_peer_can_be_measured_whatever_lines_its_offer_has(kind: str, direction: str) -> None:
    async with answering(offer_of([VIDEO, Line(kind, direction)])) as (peer, _):
        assert await peer.count() == PeerCounts()
        assert peer.find_last_heard() is None


def test_what_the_first_line_of_a_bundle_says_holds_for_all() -> None:
    offer = Offer(offer_of([SOUND, bundled_only(VIDEO)]))
    assert [one.ice.usernameFragment for one in offer.lines if one.ice is not None] == ["abcd", "abcd"]
    assert [len(one.dtls.fingerprints) for one in offer.lines if one.dtls is not None] == [1, 1]
    with pytest.raises(ApiError, match="lacks ICE credentials"):
        take_offer(offer_of([SOUND, bundled_only(VIDEO)]).replace("a=ice-ufrag:abcd\r\n", ""), "offer")


def test_a_line_of_port_0_is_closed_unless_it_is_of_a_bundle() -> None:
    with pytest.raises(ApiError, match="no video line"):
        take_offer(offer_of([SOUND, bundled_only(VIDEO)], bundle=False), "offer")
    with pytest.raises(ApiError, match="no video line"):
        take_offer(offer_of([Line("video", port=0)]), "offer")


def test_a_candidate_that_comes_later_goes_to_the_transport_of_its_line() -> None:
    lines = [Line("text"), SOUND, bundled_only(VIDEO)]
    offer = Offer(offer_of(lines))
    for mid, index in (("m0", None), ("m2", None), (None, 0), (None, 2), ("", 1)):
        candidate = RTCIceCandidate(1, "1", "192.0.2.1", 9, 1, "udp", "host", sdpMid=mid, sdpMLineIndex=index)
        assert offer.route(candidate).sdpMid == "m1", (mid, index)
    apart = Offer(offer_of([Line("text"), VIDEO, SOUND], bundle=False))
    candidate = RTCIceCandidate(1, "1", "192.0.2.1", 9, 1, "udp", "host", sdpMLineIndex=2)
    assert apart.route(candidate).sdpMid == "m2"


def h264(stated: str) -> Line:
    return Line("video", codecs=((108, "H264/90000", stated), (109, "rtx/90000", "apt=108")))


@pytest.mark.parametrize(
    ("profile", "mode"),
    list(itertools.product(("42001f", "42e01f", "4d001f", "640c1f", "640028", "640828", "6e001f", "7a001f"), "01")),
)
async def test_h264_is_answered_with_the_profile_and_mode_offered(profile: str, mode: str) -> None:
    stated = f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}"
    async with answering(offer_of([h264(stated)])) as (_, answer):
        told = dict(one.split(" ", 1) for one in answer.sections[0].values("fmtp"))
        assert dict(one.split("=") for one in told["108"].split(";"))["packetization-mode"] == mode
        assert f"profile-level-id={profile[:4]}" in told["108"] or profile.startswith("42")
        assert told["109"] == "apt=108"


async def test_what_is_usual_is_preferred_to_other_profiles_of_h264() -> None:
    both = Line("video", codecs=((108, "H264/90000", "packetization-mode=1;profile-level-id=640c1f"), *CODECS["video"]))
    async with answering(offer_of([both])) as (_, answer):
        assert answer.sections[0].formats.split() == ["96", "97", "98", "108"]


@pytest.mark.parametrize(
    ("stated", "named"),
    [
        (
            "packetization-mode=1;profile-level-id=58001f",
            "H264 Extended (profile-level-id 58001f, ",
        ),
        (
            "packetization-mode=2;profile-level-id=42e01f",
            "H264 Baseline (profile-level-id 42e01f, ",
        ),
        ("profile-level-id=nonsense", "H264 an unknown profile (profile-level-id nonsense, "),
    ],
)
def test_h264_that_cannot_be_taken_is_named(stated: str, named: str) -> None:
    for take in (lambda text: take_offer(text, "offer"), take_watch_offer):
        with pytest.raises(ApiError) as raised:
            take(offer_of([h264(stated)]))
        assert raised.value.code == "no_common_codec"
        assert named in raised.value.message and "High" in raised.value.hint


def random_line(draw: random.Random) -> Line:
    kind = draw.choices(("video", "audio", "application", "text"), (5, 4, 1, 1))[0]
    closed, bundle_only = draw.random() < 0.1, draw.random() < 0.3
    return Line(
        kind,
        draw.choice(("sendrecv", "sendonly", "recvonly", "inactive", None)),
        port=0 if closed or bundle_only else draw.choice((9, 50000)),
        bundle_only=bundle_only,
        transport=not bundle_only or draw.random() < 0.2,
        named=draw.random() < 0.95,
        codecs=draw.choice((None, None, None, ((99, "AV9/90000", ""),))),
        more=tuple(
            f"a=candidate:{number} 1 udp 1 192.0.2.1 {1024 + number} typ host"
            for number in range(draw.choice((0, 0, 3, 40)))
        ),
    )


@pytest.mark.parametrize("seed", range(8))
async def test_offers_of_any_lines_are_answered_or_refused_with_a_reason(seed: int) -> None:
    """Direction, order, count and size at random: 40 offers each."""
    draw = random.Random(seed)
    taken = 0
    for _ in range(40):
        bundle = draw.random() < 0.85
        lines = [random_line(draw) for _ in range(draw.choice((1, 2, 3, 4, 6, 12)))]
        lines[0] = replace(lines[0], port=9, bundle_only=False, transport=True, named=True)
        text = offer_of(lines, bundle=bundle)
        try:
            async with answering(text) as (_, answer):
                check_answer(lines, text, [(one.kind, one.port, one.direction) for one in answer.sections])
                offered = [mid for mids in Description.read(text).bundles() for mid in mids]
                open_ = {one.mid for one in answer.sections if one.port}
                assert [mid for mids in answer.bundles() for mid in mids] == [mid for mid in offered if mid in open_]
                taken += 1
        except ApiError as error:
            assert error.status == 400 and error.message, text
            assert not any(usable(line) for line in lines) or error.code == "bad_sdp", text
    assert taken > 5


def usable(line: Line) -> bool:
    return (
        line.kind == "video"
        and line.direction in ("sendrecv", "sendonly", None)
        and bool(line.port)
        and not line.codecs
    )


def check_answer(lines: list[Line], text: str, told: list[tuple[str, int, str | None]]) -> None:
    assert [kind for kind, _, _ in told] == [line.kind for line in lines], text
    for line, (kind, port, direction) in zip(lines, told, strict=True):
        if port and kind in CODECS:
            assert direction in ALLOWED[line.direction or "sendrecv"], text
    for kind in CODECS:
        ways = [direction for one, port, direction in told if port and one == kind]
        assert sum(one in ("sendrecv", "recvonly") for one in ways) <= 1, text
        assert sum(one in ("sendrecv", "sendonly") for one in ways) <= 1, text
    assert any(one == "video" and way in ("sendrecv", "recvonly") for one, port, way in told if port), text
    can_receive = any(
        line.kind == "video" and line.direction in ("sendrecv", "recvonly", None) and port
        for line, (_, port, _) in zip(lines, told, strict=True)
    )
    assert can_receive == any(one == "video" and way in ("sendrecv", "sendonly") for one, _, way in told), text
