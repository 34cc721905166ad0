"""Offers and candidates that are too large or too many: refused from their text alone, and nobody waits for them."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCPeerConnection

from server.config import ServerConfig
from server.errors import ApiError
from server.session import manager as manager_module
from server.webrtc.offer_bounds import MOST_BYTES, MOST_CANDIDATES, MOST_MEDIA, check_candidates, check_size
from server.webrtc.peer import Peer
from tests.server.http.test_api import assert_error
from tests.server.world import Viewer, World, running

LONGEST_PAUSE = 0.5
"""Processor seconds of the loop's thread; one that parsed these offers had pauses of 1 to 3 s."""
CANDIDATE = "candidate:{0} 1 udp 2130706431 192.0.2.1 61764 typ host"
LINES = {
    "candidates": f"a={CANDIDATE}",
    "codecs": "a=rtpmap:{0} VP8/90000",
    "parameters": "a=fmtp:{0} level-asymmetry-allowed=1;packetization-mode=1",
    "feedback": "a=rtcp-fb:* nack",
    "sources": "a=ssrc:{0} cname:x",
    "groups": "a=ssrc-group:FID {0} {0}",
    "extensions": "a=extmap:{0} urn:ietf:params:rtp-hdrext:sdes:mid",
    "others": "a=x",
}


async def sections() -> tuple[str, str, str]:
    """The head, the video line and the data channel's of a real offer."""
    peer = RTCPeerConnection()
    peer.addTransceiver("video")
    peer.createDataChannel("control")
    await peer.setLocalDescription(await peer.createOffer())
    head, video, application = re.split(r"(?=^m=)", peer.localDescription.sdp, flags=re.MULTILINE)
    await peer.close()
    return head, video, application


async def swollen(line: str, size: int) -> str:
    """An offer whose video line has so many bytes, most of them of one kind of line."""
    head, video, application = await sections()
    lines = [video]
    length = len(video)
    while length < size:
        lines.append(line.format(len(lines)) + "\r\n")
        length += len(lines[-1])
    return head + "".join(lines) + application


def test_what_an_offer_may_have_at_most() -> None:
    for text, what in (
        ("v=0\r\n" + "a=x\r\n" * MOST_BYTES, "bytes"),
        ("v=0\r\n" + "m=video 9 RTP/AVP 96\r\n" * (MOST_MEDIA + 1), "media lines"),
        ("v=0\r\n" + f"a={CANDIDATE}\r\n" * (MOST_CANDIDATES + 1), "candidates"),
    ):
        with pytest.raises(ApiError, match=what):
            check_size(text)
    check_size("v=0\r\n" + "m=video 9 RTP/AVP 96\r\n" * MOST_MEDIA + f"a={CANDIDATE}\r\n" * MOST_CANDIDATES)
    check_candidates(90, 10)
    with pytest.raises(ApiError, match="has had 90 candidates; 11 more"):
        check_candidates(90, 11)


@asynccontextmanager
async def pauses() -> AsyncIterator[list[float]]:
    """How much processor time the loop's thread takes between two turns of a task that only waits for its next."""
    found: list[float] = []

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            found.append(time.thread_time() - before)

    # What other tests left behind is not to be gone through meanwhile: that alone may take a second.
    gc.collect()
    gc.disable()
    task = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        yield found
        # what was done in one go ends with this turn
        await asyncio.sleep(0)
    finally:
        gc.enable()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def send(world: World, path: str, offer: str) -> int:
    if path.startswith("/api") or path == "/offer":
        answer = await world.http.post(path, json={"sdp": offer, "type": "offer"})
    else:
        answer = await world.http.post(path, content=offer, headers={"Content-Type": "application/sdp"})
    if answer.status_code == 201 and "Location" in answer.headers and path != "/offer":
        await world.http.delete(answer.headers["Location"])
    return answer.status_code


@pytest.mark.parametrize("path", ["/api/v1/sessions", "/offer", "/whip"])
async def test_an_offer_of_a_quarter_megabyte_is_refused_unread(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(text: str, kind: str) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(manager_module, "take_offer", read)
    offer = await swollen(LINES["sources"], 243_000)
    async with running() as world:
        await world.ready()
        async with pauses() as found:
            assert await send(world, path, offer) in (400, 413)
        assert found and max(found) < LONGEST_PAUSE


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
async def test_the_largest_offers_let_others_go_on(line: str) -> None:
    offer = await swollen(line, MOST_BYTES - 2_000)
    async with running(make_peer=Peer) as world:
        await world.ready()
        async with pauses() as found:
            assert await send(world, "/api/v1/sessions", offer) in (201, 400)
        assert found and max(found) < LONGEST_PAUSE


async def test_a_full_server_reads_no_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(ServerConfig(max_sessions=1)) as world:
        await world.ready()
        async with world.viewer():

            def read(text: str, kind: str) -> None:
                raise AssertionError("it was parsed")

            monkeypatch.setattr(manager_module, "take_offer", read)
            late = Viewer(world.http)
            assert_error(await late.ask(), 503, "server_full")
            await late.close()


@pytest.mark.slow
async def test_a_session_takes_a_hundred_candidates_and_no_more() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer, pauses() as found:
            had = viewer.peer.localDescription.sdp.count("a=candidate:")
            statuses = []
            for _ in range(80):
                batch = [{"candidate": CANDIDATE.format(number), "sdpMid": "0"} for number in range(64)]
                answer = await world.http.post(f"{viewer.url}/candidates", json={"candidates": batch})
                statuses.append(answer.status_code)
            assert statuses == [204] + [422] * 79
            assert_error(answer, 422, "too_many_candidates")
            rest = [{"candidate": CANDIDATE.format(1), "sdpMid": "0"}] * (MOST_CANDIDATES - 64 - had)
            answer = await world.http.post(f"{viewer.url}/candidates", json={"candidates": rest})
            assert answer.status_code == 204
            await viewer.see(3)
        assert found and max(found) < LONGEST_PAUSE
