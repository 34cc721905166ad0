"""A Ray cluster of several nodes on this machine, and viewers that come back when their worker is gone."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster

from server.cluster import service
from server.cluster.fleet import Plan
from server.cluster.messages import Build, Report, Share
from server.cluster.names import NAMESPACE
from server.cluster.roster import Bounds
from server.cluster.service import APPLICATION, ClusterError, Entrance
from server.config import ServerConfig
from tests.cluster.media import build
from tests.server.world import Viewer

ROOT = Path(__file__).parents[2]
NODE: dict[str, Any] = {"num_cpus": 3, "object_store_memory": 80 << 20, "include_dashboard": False}
"""The processors are made up, as all nodes share this machine's: two for a worker, one for other work."""
SYSTEM = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
    # no processes for work that does not come
    "prestart_worker_first_driver": False,
    "enable_worker_prestart": False,
}
PATIENT = ServerConfig(
    max_sessions=12, min_fps=0, connect_seconds=60, dead_seconds=60, idle_seconds=120, drain_seconds=0
)
"""No session ends, and none is refused, because this machine has more to do than it can."""
SHARE = Share(cpus=2.0)
PATIENCE_SECONDS = 120.0


@dataclass
class ClusterWorld:
    """The service on a few nodes."""

    cluster: Cluster
    url: str

    def workers(self) -> list[dict[str, Any]]:
        return service.workers()

    def ready(self) -> list[str]:
        """The names of the workers that take sessions."""
        return [str(one["name"]) for one in self.workers() if one["state"] == "ready"]

    def wait_ready(self, count: int) -> None:
        """Until so many workers take sessions."""
        self.wait_for({"ready": count})

    def wait_for(self, states: dict[str, int]) -> None:
        """Until so many workers are in each of these states, and none in another."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while Counter(str(one["state"]) for one in self.workers()) != states:
            assert time.monotonic() < deadline, self.workers()
            time.sleep(0.2)

    def mortal_worker(self) -> str:
        """One that is not on the head node, which Ray cannot do without, and beside a replica of the ingress."""
        assert self.cluster.head_node is not None
        nodes = self.ingress_nodes()
        assert len(set(nodes)) == len(nodes) == 2, "no node's end is to take both"
        may_go = set(nodes) - {self.cluster.head_node.node_id}
        return next(name for name in self.ready() if self.report(name).node in may_go)

    def ingress_nodes(self) -> list[str]:
        """The nodes that have a replica of the ingress, by Ray's ids."""
        actors: Any = ray._private.state.actors()
        replicas = [one for one in actors.values() if one["Name"].startswith(f"SERVE_REPLICA::{APPLICATION}#")]
        return [str(one["Address"]["NodeID"]) for one in replicas if one["State"] == "ALIVE"]

    def report(self, worker: str) -> Report:
        actor: Any = ray.get_actor(worker, NAMESPACE)
        found: Any = ray.get(actor.report.remote(""))
        assert isinstance(found, Report)
        return found

    def kill_node_of(self, worker: str) -> None:
        """End a worker's node and all its processes as a power cut does."""
        report = self.report(worker)
        node = next(one for one in self.cluster.worker_nodes if one.node_id == report.node)
        processes = processes_of(node)
        everything = [one for process in processes for one in psutil.Process(process.pid).children(recursive=True)]
        assert report.pid in [one.pid for one in everything]
        # held still, lest Ray starts the worker anew on a node that is about to go
        for process in processes:
            psutil.Process(process.pid).suspend()
        for one in everything:
            one.kill()
        self.cluster.remove_node(node, allow_graceful=False)
        wait_for(processes)

    def add_node(self) -> None:
        """One more, which has this process's environment."""
        self.cluster.add_node(**NODE)

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def processes_of(node: Any) -> list[subprocess.Popen[bytes]]:
    """What Ray has started for a node."""
    return [info.process for infos in node.all_processes.values() for info in infos]


def wait_for(processes: list[subprocess.Popen[bytes]]) -> None:
    """Until they have ended; Ray ends them and does not look."""
    for process in processes:
        process.wait(PATIENCE_SECONDS)


@contextmanager
def cluster_of(
    nodes: int, config: ServerConfig, make: Build = build, *, cpus: int = 3, bounds: Bounds | None = None
) -> Iterator[ClusterWorld]:
    """So many nodes with a worker each, the head being one of them; or with as many workers as `bounds` says."""
    before = dict(os.environ)
    # All nodes are this machine, and one of them has the proxy: it is to use the replicas on the others too.
    os.environ.update(PYTHONPATH=str(ROOT), RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING="0")
    # No hooks for signals and for the end of the process: the end of the block ends it all.
    head = {**NODE, "num_cpus": cpus, "_system_config": SYSTEM}
    cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**{**NODE, "num_cpus": cpus})
        service.connect(cluster.address)
        port = free_port()
        service.start(Plan(config, SHARE, make, bounds), Entrance("127.0.0.1", port, everywhere=False))
        world = ClusterWorld(cluster, f"http://127.0.0.1:{port}")
        world.wait_ready(nodes if bounds is None else bounds.least)
        yield world
        with suppress(ClusterError):  # a test may have ended it
            service.stop()
    finally:
        ray.shutdown()
        processes = [process for node in cluster.list_all_nodes() for process in processes_of(node)]
        cluster.shutdown()
        wait_for(processes)
        os.environ.clear()
        os.environ.update(before)


class ReturningViewer:
    """A viewer that can come back with its resume token."""

    def __init__(self, http: httpx.AsyncClient, fps: float) -> None:
        self._http = http
        self._fps = fps
        self.viewer = Viewer(http, fps=fps)
        self.was: list[Viewer] = []
        self.connected_within = 0.0
        """Seconds from the first try to the first picture."""
        self.answers: list[str] = []
        """Each answer to asking to go on, and the seconds it took."""

    @property
    def worker(self) -> str:
        identity: str = self.viewer.session["id"]
        return identity.partition(".")[0]

    async def come(self, **body: object) -> None:
        began = time.monotonic()
        response = await self.viewer.connect(**body)
        assert response.status_code == 201, response.text
        await self.viewer.see(1)
        self.connected_within = time.monotonic() - began

    async def come_back(self) -> None:
        """Leave what is broken, and ask until somebody lets this viewer go on."""
        token = self.viewer.session["resume_token"]
        self.was.append(self.viewer)
        while True:
            self.viewer, began = Viewer(self._http, fps=self._fps), time.monotonic()
            response = await self.viewer.connect(resume_token=token)
            self.answers.append(f"{response.status_code} after {time.monotonic() - began:.2f} s")
            if response.status_code == 201:
                await self.viewer.see(1)
                return
            assert response.status_code in (500, 503), response.text
            await self.viewer.close()
            await asyncio.sleep(0.2)

    async def state(self) -> dict[str, Any]:
        response = await self._http.get(self.viewer.url)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._http.get(f"{self.viewer.url}/stats")).json()
        return found

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in [self.viewer, *self.was]))
