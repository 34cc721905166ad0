"""A cluster whose workers come and go with its sessions: more where little is free, a full one, and its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from server.cluster import service
from server.cluster.roster import Bounds
from tests.cluster.world import PATIENT, ClusterWorld, ReturningViewer, cluster_of

FPS = 2.0
PLACES = 2
"""Of each worker."""
DRAIN_SECONDS = 60.0
"""More than the test takes."""

# Ray's own processes are its to end; what it leaves open here is not this project's.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def world() -> Iterator[ClusterWorld]:
    """One node with room for two workers, of which one is there."""
    config = replace(PATIENT, max_sessions=PLACES, drain_seconds=DRAIN_SECONDS)
    with cluster_of(1, config, cpus=4, bounds=Bounds(1, 2)) as running:
        yield running


async def refused(http: httpx.AsyncClient) -> tuple[str, str]:
    """The code and the sentence with which one more session is refused."""
    late = ReturningViewer(http, FPS)
    answer = await late.viewer.connect()
    await late.close()
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    error = answer.json()["error"]
    return error["code"], error["message"]


async def test_workers_come_and_go_by_what_is_free_and_the_last_sessions_have_time_to_end(world: ClusterWorld) -> None:
    async with world.http() as http:
        viewers = [ReturningViewer(http, FPS) for _ in range(2 * PLACES)]
        try:
            (first,) = world.ready()
            await asyncio.gather(*(one.come() for one in viewers[:PLACES]))
            assert await refused(http) == ("server_full", "This cluster is full: its 1 worker carries 2 sessions.")
            await asyncio.to_thread(world.wait_ready, 2)
            await asyncio.gather(*(one.come() for one in viewers[PLACES:]))
            (second,) = set(world.ready()) - {first}
            assert Counter(one.worker for one in viewers) == {first: PLACES, second: PLACES}
            assert await refused(http) == ("server_full", "This cluster is full: its 2 workers carry 4 sessions.")

            staying, *leaving = viewers
            await asyncio.gather(*(http.delete(one.viewer.url) for one in leaving))
            await asyncio.to_thread(world.wait_ready, 1)
            assert world.ready() == [first] and not staying.viewer.said("session_ended")

            ending = asyncio.create_task(asyncio.to_thread(service.stop))
            async with asyncio.timeout(10):
                while (await refused(http))[0] != "draining":
                    await asyncio.sleep(0.1)
            edited = await http.patch(f"{staying.viewer.url}/edits", json={"edits": {"smile": 0.5}})
            assert edited.status_code == 200 and not ending.done(), "what runs goes on"
            await http.delete(staying.viewer.url)
            async with asyncio.timeout(DRAIN_SECONDS / 2):
                await ending
            with pytest.raises(service.ClusterError, match="No service runs"):
                service.workers()
        finally:
            await asyncio.gather(*(one.close() for one in viewers))
