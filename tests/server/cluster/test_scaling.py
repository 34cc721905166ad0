"""A cluster whose workers come and go with its sessions: where little is free, what clients brought, and the end."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from server.cluster import service
from server.cluster.roster import WorkerBounds
from tests.patience import LONG, until
from tests.server.cluster.media import FOLDER, HELD_UP, build_open
from tests.server.cluster.world import (
    FPS,
    LENIENT,
    PATIENCE_SECONDS,
    PATIENT,
    ClusterWorld,
    ReturningViewer,
    cluster_of,
)
from tests.server.http.test_attribute_api import BYTES, GRIN

PLACES = 2
"""Of each worker."""
DRAIN_SECONDS = 300.0
"""More than the test takes."""

pytestmark = [*LENIENT, pytest.mark.slow]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterWorld]:
    """One node with room for two workers, of which one is there."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    config = replace(PATIENT, max_sessions=PLACES, drain_seconds=DRAIN_SECONDS, allow_uploads=True)
    with cluster_of(1, config, build_open, cpus=4, bounds=WorkerBounds(1, 2)) as running:
        yield running


async def bring(http: httpx.AsyncClient, name: str) -> None:
    """An attribute from a client."""
    answer = await http.post(f"/api/v1/attributes?name={name}", content=GRIN, headers=BYTES)
    assert answer.status_code == 201, answer.text


async def set_at(http: httpx.AsyncClient, one: ReturningViewer, name: str) -> int:
    """The status with which an edit is answered."""
    answer = await http.patch(f"{one.viewer.url}/edits", json={"edits": {name: 0.5}})
    return answer.status_code


async def can_set(http: httpx.AsyncClient, one: ReturningViewer, name: str) -> None:
    """Until a session's worker knows an attribute."""

    async def known() -> bool:
        return await set_at(http, one, name) == 200

    await until(known, PATIENCE_SECONDS)


async def refused(http: httpx.AsyncClient) -> tuple[str, str]:
    """The code and the sentence with which one more session is refused; empty where it got a place, and left it."""
    late = ReturningViewer(http, FPS)
    answer = await late.viewer.connect()
    if answer.status_code == 201:
        await http.delete(late.viewer.url)
    await late.close()
    if answer.status_code == 201:
        return "", ""
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    error = answer.json()["error"]
    return error["code"], error["message"]


@LONG
async def test_workers_come_and_go_by_what_is_free_and_the_last_sessions_have_time_to_end(
    world: ClusterWorld, tmp_path: Path
) -> None:
    held_up = tmp_path / HELD_UP
    async with world.http() as http:
        viewers = [ReturningViewer(http, FPS) for _ in range(2 * PLACES)]
        try:
            (first,) = world.ready()
            await bring(http, "grin")
            held_up.touch()
            await asyncio.gather(*(one.come() for one in viewers[:PLACES]))
            assert await refused(http) == ("server_full", "This cluster is full: its 1 worker carries 2 sessions.")
            held_up.unlink()
            await asyncio.to_thread(world.wait_ready, 2)
            await asyncio.gather(*(one.come() for one in viewers[PLACES:]))
            (second,) = set(world.ready()) - {first}
            assert Counter(one.worker for one in viewers) == {first: PLACES, second: PLACES}
            assert await refused(http) == ("server_full", "This cluster is full: its 2 workers carry 4 sessions.")

            newest = next(one for one in viewers if one.worker == second)
            await can_set(http, newest, "grin")
            await bring(http, "wink")
            assert [await set_at(http, one, "wink") for one in viewers] == [200] * len(viewers)

            staying, *leaving = viewers
            await asyncio.gather(*(http.delete(one.viewer.url) for one in leaving))
            await asyncio.to_thread(world.wait_ready, 1)
            assert world.ready() == [first] and not staying.viewer.said("session_ended")

            said: list[str] = []
            attending = asyncio.create_task(
                asyncio.to_thread(service.attend, threading.Event(), said.append, "http://here")
            )
            ending = asyncio.create_task(asyncio.to_thread(service.stop))

            async def draining() -> bool:
                return (await refused(http))[0] == "draining"

            await until(draining, PATIENCE_SECONDS)
            assert await set_at(http, staying, "smile") == 200 and not ending.done(), "what runs goes on"
            await http.delete(staying.viewer.url)
            async with asyncio.timeout(DRAIN_SECONDS / 2):
                await ending
            with pytest.raises(service.ClusterError, match="No service runs"):
                service.workers()
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert not await attending, "whoever attends to it learns that it has ended"
            assert said == [] or said[-1] == "Not ready (0 workers): http://here"
        finally:
            await asyncio.gather(*(one.close() for one in viewers))
