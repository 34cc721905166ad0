"""What things are called in a cluster, and which versions go together."""

from __future__ import annotations

import re

NAMESPACE = "rigid-live"
"""Ray's, of all actors here."""
FLEET = "fleet"
"""The name of the actor that knows the workers."""
WORKER = re.compile(r"w[a-z0-9]{1,15}")
"""The fleet gives the names; it is no worker itself, though it is an actor like them."""


def worker_of(identity: str) -> str:
    """The worker that a session's id, token or secret was made by; empty where it names none."""
    name, dot, _ = identity.partition(".")
    return name if dot and WORKER.fullmatch(name) else ""


def go_together(one: str, other: str) -> bool:
    """Whether nodes of two versions may serve together: they differ in the last number at most."""
    return one.split(".")[:2] == other.split(".")[:2]
