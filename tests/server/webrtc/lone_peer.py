"""A client in a process of its own, to be killed: its offer goes to stdout, the answer comes by stdin."""

from __future__ import annotations

import asyncio
import json
import sys

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.server.world import Camera


def say(text: str) -> None:
    print(text, flush=True)


async def main() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(Camera())
    shown = asyncio.Event()

    async def watch(track: MediaStreamTrack) -> None:
        await track.recv()
        shown.set()

    peer.on("track", lambda track: asyncio.ensure_future(watch(track)))
    await peer.setLocalDescription(await peer.createOffer())
    say(json.dumps({"sdp": peer.localDescription.sdp, "type": "offer"}))
    answer = json.loads(await asyncio.to_thread(sys.stdin.readline))
    await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    await shown.wait()
    say("shown")
    # Until it is killed, or whoever started it is gone.
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main())
