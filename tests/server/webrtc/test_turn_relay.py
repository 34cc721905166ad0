"""Video by way of a real TURN server, with the credentials that the server hands out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy

from server.webrtc.peer import Peer
from tests.coturn import FIRST_PORT, LAST_PORT, MISSING, coturn, is_missing
from tests.server.world import RealViewer, World, running

pytestmark = pytest.mark.skipif(is_missing(), reason=MISSING)


async def relay_only(world: World, credential: str | None = None) -> RealViewer:
    """A viewer that knows no way but the TURN server's, with its own credential or another one."""
    (given,) = (await world.http.get("/api/v1/ice-servers")).json()["ice_servers"]
    server = RTCIceServer(given["urls"], given["username"], credential or given["credential"])
    ice = RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    return RealViewer(world.http, ice=ice)


def candidates(sdp: str) -> list[tuple[str, int]]:
    """Kind and port of each address in a description."""
    return [(kind, int(port)) for port, kind in re.findall(r"^a=candidate:.* (\d+) typ (\w+)", sdp, re.MULTILINE)]


async def test_video_comes_back_through_the_turn_server_alone(tmp_path: Path) -> None:
    with coturn(tmp_path) as (config, log):
        async with running(config, make_peer=Peer) as world:
            await world.ready()
            viewer = await relay_only(world)
            try:
                assert (await viewer.connect()).status_code == 201
                ours = candidates(viewer.peer.localDescription.sdp)
                assert ours and all(kind == "relay" and FIRST_PORT <= port <= LAST_PORT for kind, port in ours)
                assert "relay" in {kind for kind, _ in candidates(viewer.session["sdp"])}, "the server has a way too"
                seen = await viewer.see(20)
                assert (await viewer.set("1", {"smile": 1.0}))["ok"]
            finally:
                await viewer.close()
        assert "ALLOCATE processed, success" in log.read_text()
    assert [one.index for one in seen] == sorted({one.index for one in seen})


async def test_a_forged_credential_gives_no_way(tmp_path: Path) -> None:
    with coturn(tmp_path) as (config, log):
        async with running(config, make_peer=Peer) as world:
            await world.ready()
            viewer = await relay_only(world, credential="forged")
            await viewer.peer.setLocalDescription(await viewer.peer.createOffer())
            assert candidates(viewer.peer.localDescription.sdp) == []
            await viewer.close()
        assert "ALLOCATE processed, success" not in log.read_text()
