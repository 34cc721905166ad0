"""Several Ray nodes on this machine, with real WebRTC viewers: placement, edits, draining, and nodes that die."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from server.cluster import service
from server.cluster.batch import work_through
from server.cluster.ingress import REPLICA_HEADER
from server.cluster.messages import Share
from server.http.api import version_of
from tests.patience import ALL, LONG, eventually, until
from tests.server.cluster.world import (
    FPS,
    LENIENT,
    PATIENCE_SECONDS,
    PATIENT,
    ROOT,
    ClusterWorld,
    ReturningViewer,
    cluster_of,
)
from tests.server.world import Lag, RealViewer

NODES, VIEWERS = (3, 24) if ALL else (2, 8)
"""Each node takes Ray half a minute to start where there are two processors."""
BACK_SECONDS = 5.0
"""Besides the time that it took the sessions to open, as this machine may have other things to do."""
ASK_AGAIN_SECONDS = 3.0
"""A request to a replica that stands still is answered by nobody: who asks gives it up and asks again."""

pytestmark = [*LENIENT, pytest.mark.slow]


@pytest.fixture(scope="module")
def world() -> Iterator[ClusterWorld]:
    """A few nodes with a worker each."""
    with cluster_of(NODES, PATIENT) as running:
        yield running


def open_divider(folder: Path) -> Callable[[int], str]:
    """Opened once a process: what it gives says in which. None goes on alone: each notes itself in `folder`."""
    opened = f"{os.getpid()} {secrets.token_hex(4)}"
    (folder / opened).touch()

    def divide(number: int) -> str:
        if number == 0:
            raise ValueError("0 divides nothing; give another number.")
        eventually(lambda: len(list(folder.iterdir())) > 1, "another process")
        return f"{opened} {12 // number}"

    return divide


@LONG
def test_tasks_are_done_on_all_nodes_and_a_bad_one_stops_no_other(world: ClusterWorld, tmp_path: Path) -> None:
    assert len(world.ready()) == 3, "beside the workers"
    tasks = work_through([1, 2, 0, 3, 4, 6], partial(open_divider, tmp_path), Share(cpus=1.0))
    outcomes = {one.task: one for one in tasks}
    assert outcomes[0].error == "0 divides nothing; give another number." and outcomes[0].result is None
    results = [one.result.split() for one in outcomes.values() if one.result]
    assert sorted(int(value) for *_, value in results) == [2, 3, 4, 6, 12]
    opened = {(process, token) for process, token, _ in results}
    assert 1 < len(opened) == len({process for process, _ in opened}), "each process opens once"


@LONG
def test_files_are_edited_from_the_command_line(world: ClusterWorld, tmp_path: Path) -> None:
    pictures, edited = tmp_path / "pictures", tmp_path / "edited"
    pictures.mkdir()
    grey = np.full((96, 128, 3), 128, np.uint8)
    assert cv2.imwrite(str(pictures / "grey.png"), grey)
    (pictures / "broken.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "cli.main", "edit", str(pictures), str(edited), "--set", "smile=1"]
    command += ["--cluster", world.cluster.address, "--worker-cpus", "1", "--engine", "openvino"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stderr
    assert "1 files done, 0 as they were, 1 failed; 1 frames" in done.stdout
    assert f"Failed: {pictures / 'broken.png'}: " in done.stderr
    found = cv2.imread(str(edited / "grey.png"))
    assert found is not None
    np.testing.assert_array_equal(found, grey, "there is no face in it")


def test_half_sent_headers_are_let_go_by_the_proxy(world: ClusterWorld) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(world.url).port or 80), PATIENCE_SECONDS) as half:
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-More: ")
        with suppress(ConnectionResetError):
            assert half.recv(1) == b""


@asynccontextmanager
async def audience(world: ClusterWorld, count: int) -> AsyncIterator[tuple[httpx.AsyncClient, list[ReturningViewer]]]:
    """So many viewers, each with an edit of its own."""
    await until(lambda: not any(one["sessions"] for one in world.workers()), PATIENCE_SECONDS)
    async with world.http() as http:
        viewers = [ReturningViewer(http, FPS) for _ in range(count)]
        try:
            await asyncio.gather(*(one.come(edits={"smile": strength(i)}) for i, one in enumerate(viewers)))
            yield http, viewers
        finally:
            # What fails here follows on what failed before.
            sessions = [one.viewer.url for one in viewers if one.viewer.session]
            await asyncio.gather(*(http.delete(url) for url in sessions), return_exceptions=True)
            await asyncio.gather(*(one.close() for one in viewers))


def strength(number: int) -> float:
    return -1 + number / VIEWERS


async def test_sessions_are_placed_evenly_and_reached_through_any_ingress(world: ClusterWorld) -> None:
    async with audience(world, VIEWERS) as (http, viewers):
        assert set(Counter(one.worker for one in viewers).values()) == {VIEWERS // NODES}
        listed = (await http.get("/api/v1/sessions")).json()
        assert {one["id"] for one in listed} == {one.viewer.session["id"] for one in viewers}
        replicas: set[str] = set()
        for number, one in enumerate(viewers):
            body = {"edits": {"age": strength(number)}, "ramp_ms": 0}
            async with world.http() as fresh:  # a connection of its own goes to a replica of Serve's choosing
                answer = await fresh.patch(f"{one.viewer.url}/edits", json=body)
            assert answer.status_code == 200
            replicas.add(answer.headers[REPLICA_HEADER])
        assert len(replicas) == 2
        await asyncio.gather(*(one.viewer.see(1) for one in viewers))
        for number, one in enumerate(viewers):
            assert (await one.state())["edits"] == pytest.approx({"smile": strength(number), "age": strength(number)})
            assert one.viewer.seen[-1].strength == pytest.approx(strength(number), abs=0.1)


async def test_a_session_is_closed_watched_and_counted_through_the_ingress(world: ClusterWorld) -> None:
    async with audience(world, 2) as (http, (one, other)):
        assert one.worker != other.worker
        page = await http.get("/")
        assert page.status_code == 200 and page.text.lower().startswith("<!doctype html>")
        text = (await http.get("/metrics")).text
        for viewer in (one, other):
            assert f'rigid_live_sessions_opened_total{{worker="{viewer.worker}"}}' in text
        assert f'rigid_live_workers{{state="ready"}} {NODES}.0' in text
        assert text.count("# TYPE rigid_live_frames_in_total counter") == 1
        assert (await http.post(f"{one.viewer.url}/close")).status_code == 204
        await until(lambda: bool(one.viewer.said("session_ended")))
        assert (await http.get(one.viewer.url)).status_code == 410
        assert (await http.get(other.viewer.url)).status_code == 200
        watcher = RealViewer(http, fps=FPS)
        await watcher.peer.setLocalDescription(await watcher.peer.createOffer())
        sdp = {"Content-Type": "application/sdp"}
        answer = await http.post(
            f"/whep/{other.viewer.session['id']}", content=watcher.peer.localDescription.sdp, headers=sdp
        )
        assert answer.status_code == 201 and answer.headers["Location"].startswith(f"/whep/{other.worker}.")
        assert (await http.delete(answer.headers["Location"])).status_code == 200
        sent = await http.post("/whip?smile=0.5", content=watcher.peer.localDescription.sdp, headers=sdp)
        assert sent.status_code == 201
        assert (await http.delete(sent.headers["Location"])).status_code == 200
        await watcher.close()


@LONG
async def test_a_drained_worker_ends_empty_and_its_sessions_go_on_elsewhere(world: ClusterWorld) -> None:
    async with audience(world, 6) as (_, viewers):
        await asyncio.gather(*(one.viewer.see(3) for one in viewers))
        drained = viewers[0].worker
        moved = [one for one in viewers if one.worker == drained]
        edits = [(await one.state())["edits"] for one in moved]
        counted = [(await one.stats())["frames_out"] for one in moved]
        draining = asyncio.create_task(asyncio.to_thread(service.drain, drained))
        for one in moved:
            await one.viewer.until(lambda one=one: one.viewer.said("session_ended"))  # type: ignore[misc]
            assert one.viewer.said("session_ended")[0]["reason"] == "moved"
        await asyncio.gather(*(one.come_back() for one in moved))
        assert world.report(drained).sessions == 0
        assert await draining == len(moved)
        assert drained not in [one["name"] for one in world.workers()]
        for one, before, frames in zip(moved, edits, counted, strict=True):
            assert one.worker != drained and one.viewer.session["resumed"] is True
            assert (await one.state())["edits"] == before
            assert (await one.stats())["stage_ms"]["count"] > frames
    await asyncio.to_thread(world.wait_ready, 3)


@LONG
async def test_a_killed_nodes_sessions_go_on_elsewhere_and_the_others_lose_no_frame(world: ClusterWorld) -> None:
    async with audience(world, VIEWERS) as (_, viewers):
        victim = world.mortal_worker()
        hit = [one for one in viewers if one.worker == victim]
        spared = [one for one in viewers if one.worker != victim]
        numbers = {id(one): number for number, one in enumerate(viewers)}
        opening = max(one.connected_within for one in viewers)
        await asyncio.gather(*(one.viewer.see(5) for one in viewers))
        dropped = {id(one): (await one.stats())["frames_dropped"] for one in spared}
        before = {id(one): len(one.viewer.seen) for one in spared}
        lag = Lag()
        counted = [(await one.stats())["frames_out"] for one in hit]
        dead = world.report(victim).node
        world.kill_node_of(victim)
        began = time.monotonic()
        await asyncio.gather(*(one.come_back() for one in hit))
        took = time.monotonic() - began
        answers = [one.answers for one in hit]
        print(f"{len(hit)} of {VIEWERS} sessions went on elsewhere within {took:.2f} s: {answers}")
        assert took < BACK_SECONDS + opening, f"{answers}; to open took them {opening:.2f} s"
        # Ray starts the worker anew on another node, under its name
        assert dead not in {world.report(one.worker).node for one in hit}
        await asyncio.gather(*(one.viewer.see(2) for one in viewers))
        for one, frames in zip(hit, counted, strict=True):
            assert one.viewer.session["resumed"] is True
            assert (await one.state())["edits"] == {"smile": strength(numbers[id(one)])}
            assert one.viewer.seen[-1].strength == pytest.approx(strength(numbers[id(one)]), abs=0.1)
            # a checkpoint is a second old at most, and as much older as this machine is late
            assert (await one.stats())["stage_ms"]["count"] >= frames - (2 + 2 * lag.worst) * FPS
        lag.stop()
        for one in spared:
            indices = [seen.index for seen in one.viewer.seen[before[id(one)] - 1 :]]
            assert all(after - previous == 1 for previous, after in pairwise(indices)), indices
            assert (await one.stats())["frames_dropped"] == dropped[id(one)], "some go before the connection is there"


@LONG
async def test_a_worker_of_another_version_gets_no_session_and_the_others_go_on(
    world: ClusterWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = world.ready()
    installed = tmp_path / "rigid_live-99.0.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: rigid-live\nVersion: 99.0.0\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    await asyncio.to_thread(world.add_node)
    await asyncio.to_thread(world.wait_for, {"ready": len(ready), "refused": 1})
    (refused,), own = [one for one in world.workers() if one["state"] == "refused"], version_of("rigid-live")
    assert refused["problem"] == (
        f"Worker {refused['name']} on {refused['address']} runs rigid-live 99.0.0, this cluster {own}: "
        "it gets no sessions until that node has the same."
    )
    async with audience(world, 4) as (_, viewers):
        assert {one.worker for one in viewers} == set(ready)


# The last one: whether Ray gives the node up meanwhile hangs on how long this takes.
@LONG
async def test_sessions_of_a_node_that_stands_still_go_on_elsewhere(world: ClusterWorld) -> None:
    async with audience(world, 6) as (_, viewers), world.http(ASK_AGAIN_SECONDS) as impatient:
        victim = world.mortal_worker()
        hit = [one for one in viewers if one.worker == victim]
        opening = max(one.connected_within for one in viewers)
        await asyncio.gather(*(one.viewer.see(5) for one in viewers))
        edits = [(await one.state())["edits"] for one in hit]
        with world.stand_still(victim):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.gather(*(one.come_back(impatient) for one in hit))
            took, answers = max(one.connected_within for one in hit), [one.answers for one in hit]
            print(f"{len(hit)} sessions of a node that stood still went on within {took:.2f} s: {answers}")
            assert took < BACK_SECONDS + opening, f"{answers}; to open took them {opening:.2f} s"
            assert victim not in {one.worker for one in hit}
        for one, before in zip(hit, edits, strict=True):
            assert one.viewer.session["resumed"] is True
            assert (await one.state())["edits"] == before
