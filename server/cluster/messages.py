"""What the actors of a cluster tell each other; all of it can be pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import FastAPI

from server.config import ServerConfig
from server.session.resumable_sessions import SessionCheckpoint


@dataclass(frozen=True)
class Share:
    """What one worker takes of a node."""

    cpus: float = 2.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if not self.cpus > 0 or not self.gpus >= 0:
            raise ValueError(f"A worker with {self.cpus:g} processors and {self.gpus:g} GPUs cannot be; give it more.")

    def fitting(self, resources: Mapping[str, float]) -> int:
        """How many of them a node with Ray's `resources` has room for."""
        counts = [resources.get("CPU", 0.0) / self.cpus]
        if self.gpus:
            counts.append(resources.get("GPU", 0.0) / self.gpus)
        return int(min(counts))


Build = Callable[[ServerConfig, Share], FastAPI]
"""Makes a worker's server on its node; a function that every node can import."""


@dataclass(frozen=True)
class HttpRequest:
    """A request on its way through the cluster."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: tuple[str, int] | None = None
    scheme: str = "http"
    root_path: str = ""


@dataclass(frozen=True)
class Opening:
    """What goes with a request to open a session."""

    number: int
    """Of its placement."""
    token: str = ""
    """The resume token; empty where the client has none."""
    kept: SessionCheckpoint | None = None
    """What the token's session left elsewhere."""


@dataclass(frozen=True)
class HttpReply:
    """A worker's answer to an `HttpRequest`."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True)
class Report:
    """How a worker is."""

    name: str
    version: str
    node: str
    """Ray's id of it."""
    address: str
    pid: int
    ready: bool
    problem: str = ""
    """Why it never will be ready, in one sentence; empty where nothing is wrong."""
    draining: bool = False
    sessions: int = 0
    places: int = 0
    """How many sessions it takes."""
    limit_fps: float | None = None
    """Pictures a second that it can edit, as measured; None while there is room to spare."""
    min_fps: float = 0.0
    """What each session is to have of them."""
    fps: float = 0.0
    """Pictures a second that it edits now."""
    owners: Mapping[str, int] = field(default_factory=dict)
    """Sessions by the name of their API key."""
    attributes: frozenset[str] = frozenset()
    """Names of those that clients may have brought; none where they may bring none."""
    seen: frozenset[int] = frozenset()
    """Numbers of the last placements that `sessions` counts, or counted."""


@dataclass(frozen=True)
class Placement:
    """Where a new session goes; where it can go nowhere, why."""

    worker: str = ""
    """Empty where there is none."""
    number: int = 0
    """Of this placement, so that it is known when the worker counts it itself."""
    status: int = 503
    code: str = ""
    message: str = ""
    hint: str = ""
