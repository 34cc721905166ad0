"""What flows after offers of less usual shapes, over every way to open a session."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from server.webrtc.peer import Peer
from server.webrtc.session_description import SHARED, Description
from tests.patience import until
from tests.server.http.test_whip import SDP, Client
from tests.server.world import Camera, Microphone, World, running

pytestmark = pytest.mark.slow

Change = Callable[[str], str]


class Changed(Client):
    """A client whose offer is another one on the wire."""

    def __init__(self, http: httpx.AsyncClient, endpoint: str, change: Change) -> None:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        super().__init__(http, endpoint, peer)
        self.change = change

    async def start(self, *, candidates: bool = True) -> httpx.Response:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.change(self.peer.localDescription.sdp)
        if self.endpoint.startswith("/wh"):
            response = await self.http.post(self.endpoint, content=offer, headers=SDP)
            answer = response.text
        else:
            response = await self.http.post(self.endpoint, json={"sdp": offer, "type": "offer"})
            answer = response.json().get("sdp", "")
        assert response.status_code in (200, 201), response.text
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return response


@asynccontextmanager
async def changed(world: World, endpoint: str, change: Change) -> AsyncIterator[Changed]:
    made = Changed(world.http, endpoint, change)
    try:
        yield made
    finally:
        await made.close()


def only_the_first_has_an_address(offer: str) -> str:
    """A max-bundle offer as RFC 8829 section 5.2.1 has it."""
    description = Description.read(offer)
    for section in description.sections[1:]:
        section.drop(SHARED)
        section.lines[0] = re.sub(r"^(m=\w+) \d+", r"\1 0", section.lines[0])
        section.lines.append("a=bundle-only")
    return str(description)


async def sessions(world: World) -> list[dict[str, object]]:
    return [
        (await world.http.get(f"/api/v1/sessions/{one['id']}/stats")).json()
        for one in (await world.http.get("/api/v1/sessions")).json()
    ]


@pytest.mark.parametrize("endpoint", ["/whip", "/offer", "/api/v1/sessions"])
async def test_media_of_a_max_bundle_offer_flows(endpoint: str) -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        async with changed(world, endpoint, only_the_first_has_an_address) as sender:
            sender.peer.addTrack(Microphone())
            sender.peer.addTrack(Camera())
            await sender.start()
            await until(lambda: len(sender.strengths) > 3 and sender.sounds > 3)
            (session,) = await sessions(world)
            async with changed(world, f"/whep/{session['id']}", only_the_first_has_an_address) as watcher:
                watcher.receive("audio", "video")
                await watcher.start()
                await until(lambda: len(watcher.strengths) > 3 and watcher.sounds > 3)


@pytest.mark.parametrize("order", ["ra,sv,rv", "sv,sa,ra,rv", "rv,sv,sa", "rv,ra,sa,sv"])
async def test_edited_video_comes_back_whatever_the_order_of_lines(order: str) -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        async with changed(world, "/whip?smile=0.5", lambda offer: offer) as client:
            for line in order.split(","):
                if line[0] == "r":
                    client.receive("video" if line[1] == "v" else "audio")
                else:
                    client.send(Camera() if line[1] == "v" else Microphone())
            await client.start()
            await until(lambda: len(client.strengths) > 5)
            assert all(abs(one - 0.5) < 0.05 for one in client.strengths)
            if {"sa", "ra"} <= set(order.split(",")):
                await until(lambda: client.sounds > 3)


@pytest.mark.parametrize("mode", "01")
async def test_media_of_an_offer_with_nothing_but_h264_high_flow(mode: str) -> None:
    def high(offer: str) -> str:
        offer = re.sub(r"a=(rtpmap|fmtp|rtcp-fb):(97|98|99|100) .*\r\n", "", offer)
        offer = offer.replace("SAVPF 97 98 99 100", "SAVPF")
        return re.sub(
            r"packetization-mode=1;profile-level-id=\w+", f"packetization-mode={mode};profile-level-id=640c1f", offer
        )

    async with running(make_peer=Peer) as world:
        await world.ready()
        async with changed(world, "/whip?smile=0.5", high) as client:
            client.peer.addTrack(Camera())
            response = await client.start()
            assert "VP8" not in response.text and "640c1f" in response.text
            await until(lambda: len(client.strengths) > 5)
            assert all(abs(one - 0.5) < 0.05 for one in client.strengths)
