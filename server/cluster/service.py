"""Starts the service on a Ray cluster, attends to it, and ends it."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Before Ray is imported: nothing is reported to anybody.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import serve

from server.cluster.fleet import Fleet
from server.cluster.ingress import Ingress
from server.cluster.messages import Share
from server.cluster.names import FLEET, NAMESPACE
from server.cluster.proxy_guard import PROXY_ENVIRONMENT
from server.cluster.upkeep import Plan
from server.tls import CertificateFiles

logger = logging.getLogger(__name__)

APPLICATION = "rigid-live"
INGRESS = "ingress"
START_SECONDS = 120.0
REACH_SECONDS = 3.0
ASK_SECONDS = 10.0
DRAIN_SECONDS = 120.0
START_POLL_SECONDS = 0.2
AUTO = "auto"
"""The cluster that this machine is a node of."""


@dataclass(frozen=True)
class ListenAddress:
    """Where the service listens."""

    host: str = "127.0.0.1"
    port: int = 8080
    files: CertificateFiles | None = None
    """On every node that listens, at the same place; None for http."""
    everywhere: bool = True
    """On every node with a replica of the ingress, or on the head node alone."""
    replicas: int = 2
    """Each on a node of its own; one for which there is no node waits until there is."""


class ClusterError(Exception):
    """The cluster cannot be used; one sentence."""


def connect(address: str) -> None:
    """Join the Ray cluster at `HOST:PORT`, or `auto` for the one of this machine.

    ValueError where that is no address, ClusterError where nothing is there, each of one sentence.
    """
    if address != AUTO:
        _check_reachable(address)
    # of its own steps, which mean nothing to whoever starts this one
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            logging_level=logging.WARNING,
            log_to_driver=False,
            configure_logging=False,
        )
    except ConnectionError:
        raise ClusterError(
            f"No Ray cluster was found at {address!r}; start one with `ray start --head`, or name its address."
        ) from None
    except (RuntimeError, ValueError) as error:  # such as another version of Ray or of Python than the cluster's
        said = " ".join(str(error).split())
        raise ClusterError(f"The Ray cluster at {address!r} cannot be joined: {said}") from error


def _check_reachable(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is no address of a Ray cluster; give HOST:PORT, usually port 6379, or auto.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except OSError as error:
        why = error.strerror or str(error) or "no answer"
        raise ClusterError(f"The Ray cluster at {address} cannot be reached ({why}); is its head node up?") from None


def start(plan: Plan, address: ListenAddress) -> None:
    """Put the service on the cluster this process has joined.

    ClusterError where one is there already, ValueError where no node has what a worker asks for.
    """
    try:
        ray.get_actor(FLEET, NAMESPACE)
    except ValueError:
        pass
    else:
        raise ClusterError("The service runs on this cluster already; end it with `rigid-live cluster stop` first.")
    _check_room(plan.share)
    actor: Any = ray.remote(Fleet)
    # beside Ray's own directory, without which the cluster is none: no other node's end then holds placement up
    at_head = {"node:__internal_head__": 0.001}
    options = actor.options(name=FLEET, lifetime="detached", max_restarts=-1, num_cpus=0, resources=at_head)
    fleet = options.remote(plan)
    ray.get(fleet.describe.remote(), timeout=60)
    serve.start(
        proxy_location="EveryNode" if address.everywhere else "HeadOnly",
        # which starts the proxies, and gives them what it has
        controller_options={"runtime_env": {"env_vars": PROXY_ENVIRONMENT}},
        http_options={
            "host": address.host,
            "port": address.port,
            "ssl_certfile": None if address.files is None else address.files.certificate,
            "ssl_keyfile": None if address.files is None else address.files.key,
        },
    )
    undeployed: Any = serve.deployment(serve.ingress()(Ingress))
    deployment = undeployed.options(
        name=INGRESS,
        num_replicas=address.replicas,
        # both on one node would go together, and nobody could come back until Serve has noticed and started others
        max_replicas_per_node=1,
        max_ongoing_requests=1000,
        ray_actor_options={"num_cpus": 0},
    )
    target = serve.RunTarget(deployment.bind(plan.config), name=APPLICATION, route_prefix="/")
    serve.run_many([target], wait_for_applications_running=False)
    _wait_for_ingress(min(address.replicas, sum(node["Alive"] for node in ray.nodes())))


def _wait_for_ingress(count: int) -> None:
    """Wait until so many replicas run; ClusterError where they do not start."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        application = serve.status().applications[APPLICATION]
        if application.status == "DEPLOY_FAILED":
            raise ClusterError(f"The ingress did not start: {' '.join(application.message.split())}")
        ingress = application.deployments.get(INGRESS)
        states: Any = ingress.replica_states if ingress is not None else {}
        if states.get("RUNNING", 0) >= count:
            return
        time.sleep(START_POLL_SECONDS)
    raise ClusterError(f"The ingress did not start within {START_SECONDS:g} s; Ray's dashboard may say why.")


def _check_room(share: Share) -> None:
    if not any(share.fitting(node["Resources"]) for node in ray.nodes() if node["Alive"]):
        gpus = f" and {share.gpus:g} GPUs" if share.gpus else ""
        raise ValueError(f"No node of this cluster has {share.cpus:g} processors{gpus} for a worker; ask for less.")


def gpus_each() -> float:
    """How many GPUs a worker gets where nobody says: one, if there are any."""
    return 1.0 if ray.cluster_resources().get("GPU", 0.0) >= 1 else 0.0


def batch_share(cpus: float) -> Share:
    """What one file takes of a node; ValueError where no node has so much."""
    share = Share(cpus, gpus_each())
    _check_room(share)
    return share


def workers() -> list[dict[str, Any]]:
    """List every worker as /api/v1/workers has it; ClusterError where no service runs."""
    found: list[dict[str, Any]] = _ask_fleet("describe")
    return found


def drain(name: str, *, replace: bool = True) -> int:
    """Move a worker's sessions elsewhere and end it; how many they were. ValueError where there is none such."""
    try:
        moved: int = _ask_fleet("drain", name, replace, seconds=DRAIN_SECONDS)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ValueError):
            raise ValueError(str(error.cause)) from None
        raise
    return moved


def stop(at_once: threading.Event | None = None) -> None:
    """End the service and all that was started for it; its sessions have `drain_seconds`, unless `at_once` is set.

    ClusterError where no service runs.
    """
    draining = _fleet().wind_down.remote()
    while not ray.wait([draining], timeout=START_POLL_SECONDS)[0]:
        if at_once is not None and at_once.is_set():
            break
    # no more requests, then the workers
    serve.delete(APPLICATION)
    _ask_fleet("stop", seconds=DRAIN_SECONDS)
    ray.kill(ray.get_actor(FLEET, NAMESPACE), no_restart=True)
    serve.shutdown()


def _ask_fleet(method: str, *arguments: object, seconds: float = ASK_SECONDS) -> Any:
    return ray.get(getattr(_fleet(), method).remote(*arguments), timeout=seconds)


def _fleet() -> Any:
    try:
        return ray.get_actor(FLEET, NAMESPACE)
    except ValueError:
        raise ClusterError("No service runs on this cluster; start it with `rigid-live serve --cluster`.") from None


def attend(ended: threading.Event, say: Callable[[str], None], addresses: str) -> bool:
    """Say until `ended` what becomes of the workers: when they are ready, how many, and what is wrong with one.

    Whether the service still runs then; False at once where somebody else has ended it.
    """
    told: set[str] = set()
    ready = 0
    while not ended.is_set():
        try:
            found = workers()
        except ClusterError:
            return False
        except ray.exceptions.RayError as error:
            logger.warning("The workers cannot be asked about now: %s", error)
            ended.wait(1.0)
            continue
        for problem in sorted({str(one["problem"]) for one in found if one["problem"]} - told):
            told.add(problem)
            say(f"Warning: {problem}")
        now = sum(one["state"] == "ready" for one in found)
        if now != ready:
            say(f"{'Ready' if now else 'Not ready'} ({now} {'worker' if now == 1 else 'workers'}): {addresses}")
            ready = now
        ended.wait(1.0)
    return True
