"""`python -m tests.server.cluster.figures`: what docs/cluster.md states, measured on nodes that share this machine.

The fake runtime takes its time without using a processor, so that workers do not stand in each other's way.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from server.cluster import service
from tests.server.cluster.media import build_engine
from tests.server.cluster.world import PATIENT, ClusterWorld, ReturningViewer, cluster_of

VIEWERS = 6
FPS = 10.0
SECONDS = 8.0


async def place_and_connect(world: ClusterWorld) -> None:
    """One viewer after another: until the answer, and until the first edited picture."""
    answered, shown = [], []
    async with world.http() as http:
        for _ in range(12):
            one, began = ReturningViewer(http, FPS), time.monotonic()
            response = await one.viewer.connect()
            assert response.status_code == 201
            answered.append(time.monotonic() - began)
            await one.viewer.see(1)
            shown.append(time.monotonic() - began)
            await http.delete(one.viewer.url)
            await one.close()
    for name, times in (("answer", answered), ("first picture", shown)):
        print(f"{name}: median {1000 * statistics.median(times):.0f} ms, worst {1000 * max(times):.0f} ms")


async def throughput(world: ClusterWorld) -> None:
    """So many viewers at once: what all of them get back."""
    async with world.http() as http:
        viewers = [ReturningViewer(http, FPS) for _ in range(VIEWERS)]
        await asyncio.gather(*(one.come() for one in viewers))
        await asyncio.sleep(2)
        before = sum(len(one.viewer.seen) for one in viewers)
        await asyncio.sleep(SECONDS)
        seen = sum(len(one.viewer.seen) for one in viewers) - before
        print(f"{len(world.ready())} workers: {seen / SECONDS:.1f} of {VIEWERS * FPS:.0f} pictures a second")
        await asyncio.gather(*(http.delete(one.viewer.url) for one in viewers))
        await asyncio.gather(*(one.close() for one in viewers))


def main() -> None:
    """Three workers, then two, then one."""
    with cluster_of(3, PATIENT, build_engine) as world:
        asyncio.run(place_and_connect(world))
        while True:
            asyncio.run(throughput(world))
            left = world.ready()
            if len(left) == 1:
                break
            service.drain(left[0], replace=False)


if __name__ == "__main__":
    main()
