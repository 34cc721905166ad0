"""WHIP (RFC 9725) and WHEP: what a standard client may rely on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame

from server.config import ServerConfig
from server.ice_servers import IceServer
from server.webrtc.peer import Peer
from server.webrtc.trickle import parse_candidate, parse_fragment
from tests.patience import PATIENCE_SECONDS, until
from tests.server.http.test_api import assert_error
from tests.server.wire import WireConnection, WirePeer
from tests.server.world import Camera, Microphone, World, read_barcode, read_strength, running

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = "application/trickle-ice-sdpfrag"


class Client:
    """A WHIP or WHEP client, written against the RFC: it knows the endpoint's address and nothing else."""

    def __init__(self, http: httpx.AsyncClient, endpoint: str, peer: RTCPeerConnection | WireConnection) -> None:
        self.http = http
        self.endpoint = endpoint
        self.peer = peer
        self.resource = ""
        self.etag = ""
        self.strengths: list[float] = []
        self.indices: list[int] = []
        self.sounds = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.peer.on("track", self._show)

    def send(self, *tracks: MediaStreamTrack) -> None:
        for track in tracks:
            self.peer.addTransceiver(track, direction="sendonly")

    def receive(self, *kinds: str) -> None:
        for kind in kinds:
            self.peer.addTransceiver(kind, direction="recvonly")

    async def start(self, *, candidates: bool = True) -> httpx.Response:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription.sdp
        if not candidates:
            offer = re.sub(r"a=(candidate|end-of-candidates).*\r\n", "", offer)
        response = await self.http.post(self.endpoint, content=offer, headers=SDP)
        if response.status_code == 201:
            self.resource, self.etag = response.headers["Location"], response.headers["ETag"]
            await self.peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        return response

    async def trickle(self, text: str, *, etag: str | None = None, kind: str = FRAGMENT) -> httpx.Response:
        headers = {"Content-Type": kind, "If-Match": self.etag if etag is None else etag}
        return await self.http.patch(self.resource, content=text, headers={k: v for k, v in headers.items() if v})

    async def close(self) -> None:
        await self.peer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _show(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._watch(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            if isinstance(frame, AudioFrame):
                self.sounds += 1
                continue
            assert isinstance(frame, VideoFrame)
            picture = frame.to_ndarray(format="rgb24").astype(np.uint8)
            self.indices.append(read_barcode(picture)[0])
            self.strengths.append(read_strength(picture))


@asynccontextmanager
async def client(world: World, endpoint: str) -> AsyncIterator[Client]:
    made = Client(world.http, endpoint, RTCPeerConnection(RTCConfiguration(iceServers=[])))
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def wired(world: World) -> AsyncIterator[Client]:
    """A WHIP client whose connection needs no network."""
    made = Client(world.http, "/whip", WireConnection())
    try:
        yield made
    finally:
        await made.close()


async def test_a_standard_client_sends_and_others_watch_the_edited_video() -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        async with client(world, "/whip?smile=0.5") as sender:
            sender.send(Camera(), Microphone())
            answer = await sender.start()
            assert answer.status_code == 201, answer.text
            assert answer.headers["Content-Type"] == "application/sdp"
            assert re.fullmatch(r"/whip/[\w-]{32}", answer.headers["Location"])
            assert re.fullmatch(r'"\w+"', answer.headers["ETag"])
            assert "a=recvonly" in answer.text and "a=sendrecv" not in answer.text
            identity = answer.headers["X-Session-Id"]
            assert identity not in answer.headers["Location"]
            async with client(world, f"/whep/{identity}") as one, client(world, f"/whep/{identity}") as other:
                one.receive("video", "audio")
                other.receive("video")
                for watcher in (one, other):
                    shown = await watcher.start()
                    assert shown.status_code == 201, shown.text
                    assert "a=sendonly" in shown.text
                await until(lambda: len(one.strengths) > 8 and len(other.strengths) > 8 and one.sounds > 8)
                assert all(abs(strength - 0.5) < 0.05 for strength in one.strengths + other.strengths)
                assert one.indices == sorted(set(one.indices))
                stats = (await world.http.get(f"/api/v1/sessions/{identity}/stats")).json()
                assert stats["frames_out"] > 8 and stats["age_ms"]["p95"] is not None
                assert "rigid_live_watchers 2.0" in (await world.http.get("/metrics")).text
                gone = await world.http.delete(one.resource)
                assert gone.status_code == 200
                assert_error(await world.http.delete(one.resource), 404, "unknown_session")
                seen = len(other.strengths)
                await until(lambda: len(other.strengths) > seen + 3)
                ended = await world.http.delete(sender.resource)
                assert ended.status_code == 200
                await until(lambda: other.peer.connectionState == "closed")
            assert_error(await world.http.delete(sender.resource), 404, "unknown_session")
            assert_error(await world.http.post(f"/whep/{identity}", content="v=0", headers=SDP), 410, "session_closed")


async def test_a_client_may_close_its_connection_before_it_ends_its_session() -> None:
    async with running() as world:
        await world.ready()
        async with wired(world) as sender:
            sender.send(Camera())
            await sender.start()
            await until(lambda: sender.peer.connectionState == "connected")
        manager = world.app.state.manager
        await until(lambda: not list(manager.sessions))
        assert len(manager.resumable.all()) == 1, "it might have been the network"
        assert (await world.http.delete(sender.resource)).status_code == 200
        assert not manager.resumable.all()
        assert_error(await world.http.delete(sender.resource), 404, "unknown_session")


async def test_candidates_may_come_later() -> None:
    async with running(make_peer=Peer) as world:
        await world.ready()
        async with client(world, "/whip") as sender:
            sender.send(Camera())
            await sender.start(candidates=False)
            lines = re.findall(r"a=candidate.*", sender.peer.localDescription.sdp)
            ufrag = re.findall(r"a=ice-ufrag:.*", sender.peer.localDescription.sdp)[0].strip()
            head = f"{ufrag}\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
            answer = await sender.trickle(head + "".join(f"{line.strip()}\r\n" for line in lines))
            assert (answer.status_code, answer.content) == (204, b"")
            assert (await sender.trickle("a=end-of-candidates\r\n")).status_code == 204
            await until(lambda: sender.peer.connectionState == "connected")


async def test_what_a_patch_may_not_be() -> None:
    async with running() as world:
        await world.ready()
        async with wired(world) as sender:
            sender.send(Camera())
            await sender.start()
            for text, etag, kind, status, code in (
                ("a=candidate:nonsense", None, FRAGMENT, 400, "bad_sdp"),
                ("hello", None, FRAGMENT, 400, "bad_sdp"),
                ("a=mid:0\r\n", '"other"', FRAGMENT, 412, "precondition_failed"),
                ("a=mid:0\r\n", "", FRAGMENT, 428, "precondition_required"),
                ("a=ice-ufrag:another\r\n", "*", FRAGMENT, 422, "no_ice_restart"),
                ("a=mid:0\r\n", None, "application/json", 415, "unsupported_media_type"),
            ):
                assert_error(await sender.trickle(text, etag=etag, kind=kind), status, code)
            gone = await world.http.patch("/whip/guessed", content="a=mid:0\r\n", headers={"Content-Type": FRAGMENT})
            assert_error(gone, 404, "unknown_session")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ("v=0", {"Content-Type": "application/json"}, 415, "unsupported_media_type"),
        ("v=0", {}, 415, "unsupported_media_type"),
        ("", SDP, 400, "bad_sdp"),
        ("nonsense", SDP, 400, "bad_sdp"),
        ("v=0\r\n", SDP, 400, "no_video"),
        (" " * 300_000, SDP, 413, "body_too_large"),
    ],
)
async def test_what_an_offer_may_not_be(body: str, headers: dict[str, str], status: int, code: str) -> None:
    async with running() as world:
        await world.ready()
        assert_error(await world.http.post("/whip", content=body, headers=headers), status, code)
        bad = await world.http.post("/whip?smile=9", content="v=0", headers=SDP)
        assert_error(bad, 422, "bad_edit")
        assert_error(await world.http.post("/whip?smile=much", content="v=0", headers=SDP), 422, "bad_edit")


async def test_other_methods_are_told_which_there_are() -> None:
    async with running() as world:
        for method in ("GET", "HEAD", "PUT"):
            for path in ("/whip", "/whip/x", "/whep/x", "/whep/x/y"):
                answer = await world.http.request(method, path)
                assert answer.status_code == 405, (method, path)
                assert answer.headers["Allow"]
        options = await world.http.options("/whip")
        assert options.status_code == 204
        assert options.headers["Accept-Post"] == "application/sdp"
        assert options.headers["Allow"] == "POST, OPTIONS"
        assert (await world.http.options("/whip/x")).headers["Accept-Patch"] == FRAGMENT


async def test_viewers_are_limited_and_told_of_what_is_not_there() -> None:
    async with running(ServerConfig(max_watchers=1)) as world:
        await world.ready()
        assert_error(await world.http.post("/whep/gone", content="v=0", headers=SDP), 404, "unknown_session")
        async with world.viewer() as viewer:
            endpoint = f"/whep/{viewer.session['id']}"
            assert_error(await world.http.post(endpoint, content="v=0\r\n", headers=SDP), 400, "no_video")
            async with client(world, endpoint) as one, client(world, endpoint) as other:
                one.receive("video")
                assert (await one.start()).status_code == 201
                other.receive("video")
                refused = await other.start()
                assert_error(refused, 503, "too_many_viewers")
                assert refused.headers["Retry-After"] == "5"
                await until(lambda: len(one.indices) > 3)


async def test_a_viewer_that_leaves_without_a_word_is_let_go() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            async with client(world, f"/whep/{viewer.session['id']}") as watcher:
                watcher.receive("video")
                await watcher.start()
                await until(lambda: len(watcher.indices) > 1)
            await until(lambda: not world.app.state.manager.sessions.count_watchers())


async def test_ice_servers_come_as_links_and_a_key_is_asked_for() -> None:
    config = ServerConfig(
        ice_servers=(IceServer("stun:127.0.0.1:9"), IceServer("turn:127.0.0.1:9?transport=udp")),
        turn_secret="shared",
        gather_seconds=0.1,
        api_keys=("sesame",),
    )
    async with running(config) as world:
        await world.ready()
        assert_error(await world.http.post("/whip", content="v=0", headers=SDP), 401, "unauthorized")
        world.http.headers["Authorization"] = "Bearer sesame"
        async with wired(world) as sender:
            sender.send(Camera())
            answer = await sender.start()
            links = answer.headers.get_list("Link")
            assert links[0] == '<stun:127.0.0.1:9>; rel="ice-server"'
            assert re.fullmatch(
                r'<turn:127\.0\.0\.1:9\?transport=udp>; rel="ice-server"; username="\d+:\w+"; credential="[^"]+"; '
                r'credential-type="password"',
                links[1],
            )


def test_fragments_as_the_rfc_shows_them() -> None:
    fragment = parse_fragment(
        "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
        "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n"
        "a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host\r\na=end-of-candidates\r\n"
    )
    assert fragment.ufrag == "EsAw"
    assert [(one.ip, one.port, one.sdpMid) for one in fragment.candidates] == [
        ("192.0.2.1", 61764, "0"),
        ("198.51.100.2", 61765, "0"),
    ]
    assert parse_candidate("candidate:1 1 udp 1 192.0.2.1 9 typ host", None, 0).sdpMLineIndex == 0
    with pytest.raises(ValueError, match="too many"):
        parse_fragment("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 65)


async def test_candidates_of_the_api_may_come_later_too() -> None:
    async with running() as world:
        await world.ready()
        async with world.viewer() as viewer:
            good = {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
            body = {"candidates": [good, {"candidate": ""}]}
            assert (await world.http.post(f"{viewer.url}/candidates", json=body)).status_code == 204
            bad = await world.http.post(f"{viewer.url}/candidates", json={"candidates": [{"candidate": "x"}]})
            assert_error(bad, 422, "bad_candidate")
            assert viewer.server is not None and [one.ip for one in viewer.server.candidates] == ["192.0.2.1"]


async def test_who_joins_while_the_session_ends_is_let_go() -> None:
    closing, go_on = asyncio.Event(), asyncio.Event()

    class Slow(WirePeer):
        async def close(self) -> None:
            closing.set()
            await go_on.wait()
            await super().close()

    async with running(make_peer=Slow) as world:
        await world.ready()
        async with world.viewer() as viewer:
            ending = asyncio.create_task(world.http.delete(viewer.url))
            await asyncio.wait_for(closing.wait(), PATIENCE_SECONDS)
            async with client(world, f"/whep/{viewer.session['id']}") as watcher:
                watcher.receive("video")
                assert_error(await watcher.start(), 410, "session_closed")
            go_on.set()
            assert (await ending).status_code == 204
            assert world.app.state.manager.sessions.count_watchers() == 0
