"""A Ray cluster of several nodes on this machine, and viewers that come back when their worker is gone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.patience import eventually, until

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster

from server.cluster import service
from server.cluster.messages import Build, Report, Share
from server.cluster.names import NAMESPACE
from server.cluster.roster import WorkerBounds
from server.cluster.service import APPLICATION, ClusterError, ListenAddress
from server.cluster.upkeep import Plan
from server.config import ServerConfig
from tests.ports import free_port
from tests.server.cluster.media import build
from tests.server.world import RealViewer

ROOT = Path(__file__).parents[3]
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
RETURN_SECONDS = 300.0
ASK_AGAIN_SECONDS = 0.2
FPS = 2.0
"""Of each viewer: few, as all nodes and all viewers share this machine's processors."""
LENIENT = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
"""Ray's own processes are its to end; what it leaves open here is not this project's."""


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
        eventually(lambda: self._count_states() == states, f"workers in {states}", PATIENCE_SECONDS)

    def _count_states(self) -> Counter[str]:
        return Counter(str(one["state"]) for one in self.workers())

    def mortal_worker(self) -> str:
        """One that is not on the head node, which Ray cannot do without, and beside a replica of the ingress."""
        assert self.cluster.head_node is not None
        eventually(lambda: len(self.ingress_nodes()) == 2, "two replicas of the ingress", PATIENCE_SECONDS)
        nodes = self.ingress_nodes()
        assert len(set(nodes)) == 2, "no node's end is to take both"
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
        node, own, others = self._everything_of(worker)
        # held still, lest Ray starts the worker anew on a node that is about to go
        for one in own:
            one.suspend()
        for one in others:
            one.kill()
        self.cluster.remove_node(node, allow_graceful=False)
        wait_for(processes_of(node))

    @contextmanager
    def stand_still(self, worker: str) -> Iterator[None]:
        """Halt a worker's node and all its processes until the block ends, as a machine that hangs does."""
        _, own, others = self._everything_of(worker)
        try:
            for one in (*own, *others):
                one.suspend()
            yield
        finally:
            for one in (*others, *own):
                one.resume()

    def _everything_of(self, worker: str) -> tuple[Any, list[psutil.Process], list[psutil.Process]]:
        """A worker's node, which is not the head, its own processes, and those that these have started."""
        report = self.report(worker)
        node = next(one for one in self.cluster.worker_nodes if one.node_id == report.node)
        own = [psutil.Process(one.pid) for one in processes_of(node)]
        others = [child for one in own for child in one.children(recursive=True)]
        assert report.pid in [one.pid for one in others]
        return node, own, others

    def add_node(self) -> None:
        """One more, which has this process's environment."""
        self.cluster.add_node(**NODE)

    def http(self, seconds: float = 60.0) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=seconds)


def processes_of(node: Any) -> list[subprocess.Popen[bytes]]:
    """What Ray has started for a node."""
    return [info.process for infos in node.all_processes.values() for info in infos]


def wait_for(processes: list[subprocess.Popen[bytes]]) -> None:
    """Until they have ended; Ray ends them and does not look."""
    for process in processes:
        process.wait(PATIENCE_SECONDS)


@contextmanager
def cluster_of(
    nodes: int, config: ServerConfig, make: Build = build, *, cpus: int = 3, bounds: WorkerBounds | None = None
) -> Iterator[ClusterWorld]:
    """So many nodes with a worker each, the head being one of them; or with as many workers as `bounds` says."""
    before = dict(os.environ)
    # All nodes are this machine, and one of them has the proxy: it is to use the replicas on the others too.
    # How full this machine's memory is by others' doing is no reason for Ray to end a worker.
    os.environ.update(
        PYTHONPATH=str(ROOT), RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING="0", RAY_memory_monitor_refresh_ms="0"
    )
    # No hooks for signals and for the end of the process: the end of the block ends it all.
    head = {**NODE, "num_cpus": cpus, "_system_config": SYSTEM}
    cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**{**NODE, "num_cpus": cpus})
        service.connect(cluster.address)
        port = free_port()
        service.start(Plan(config, SHARE, make, bounds), ListenAddress("127.0.0.1", port, everywhere=False))
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
        self.viewer = RealViewer(http, fps=fps)
        self.was: list[RealViewer] = []
        self.connected_within = 0.0
        """Seconds from the try that was answered to the first picture."""
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

    async def come_back(self, http: httpx.AsyncClient | None = None) -> None:
        """Leave what is broken, and ask, with `http` where it is given, until somebody lets this viewer go on."""
        token = self.viewer.session["resume_token"]
        self.was.append(self.viewer)
        await until(partial(self._is_let_in, http or self._http, token), RETURN_SECONDS, ASK_AGAIN_SECONDS)

    async def _is_let_in(self, http: httpx.AsyncClient, token: str) -> bool:
        self.viewer, began = RealViewer(http, fps=self._fps), time.monotonic()
        try:
            response = await self.viewer.connect(resume_token=token)
        except httpx.TimeoutException:
            self.answers.append(f"none within {time.monotonic() - began:.2f} s")
            await self.viewer.close()
            return False
        self.answers.append(f"{response.status_code} after {time.monotonic() - began:.2f} s")
        if response.status_code == 201:
            await self.viewer.see(1)
            self.connected_within = time.monotonic() - began
            return True
        assert response.status_code in (500, 503), response.text
        await self.viewer.close()
        return False

    async def state(self) -> dict[str, Any]:
        return await self._told(self.viewer.url)

    async def stats(self) -> dict[str, Any]:
        return await self._told(f"{self.viewer.url}/stats")

    async def _told(self, url: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def is_told() -> bool:
            response = await self._http.get(url)
            # Serve sends some to a replica that has just died, and answers for it.
            assert response.status_code in (200, 500), response.text
            if response.status_code == 200:
                found.update(response.json())
            return bool(found)

        await until(is_told, PATIENCE_SECONDS, ASK_AGAIN_SECONDS)
        return found

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in [self.viewer, *self.was]))
