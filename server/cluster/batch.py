"""Files edited on all nodes of a cluster: each is a Ray task, which Ray places, and does again where a node dies."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError

from rigid.workers import Outcome, sentence
from server.cluster.messages import Share

MOST_RETRIES = 2
"""How often a task is begun anew whose process or node died."""
MOST_IN_FLIGHT = 512

Task = TypeVar("Task")
Result = TypeVar("Result")
OpenWorker = Callable[[], Callable[[Task], Result]]

_opened: dict[str, Callable[[Any], Any]] = {}
"""What this process has loaded for which run: Ray does many tasks in one process."""


def work_through(
    tasks: Sequence[Task], open_worker: OpenWorker[Task, Result], share: Share
) -> Generator[Outcome[Task, Result], None, None]:
    """Do `tasks` on the cluster this process has joined, each with its `share` of a node.

    Like `rigid.workers.work_through`: outcomes come as they are ready, a task that fails does not stop the others.
    `open_worker` and the tasks are pickled, so what files they name must be at the same place on every node.
    """
    undecided: Any = ray.remote(_do)
    remote = undecided.options(
        num_cpus=share.cpus, num_gpus=share.gpus, max_retries=MOST_RETRIES, scheduling_strategy="SPREAD"
    )
    waiting, run = list(reversed(tasks)), secrets.token_hex(8)
    running: dict[Any, Task] = {}
    try:
        while waiting or running:
            while waiting and len(running) < MOST_IN_FLIGHT:
                task = waiting.pop()
                running[remote.remote(run, open_worker, task)] = task
            done, _ = ray.wait(list(running))
            for reference in done:
                yield _outcome(running.pop(reference), reference)
    finally:
        for reference in running:
            ray.cancel(reference)


def _outcome(task: Task, reference: Any) -> Outcome[Task, Any]:
    try:
        result, error = ray.get(reference)
    except RayError as failure:
        lines = str(failure).splitlines()
        return Outcome(task, None, f"the nodes that did it ended: {lines[0] if lines else type(failure).__name__}")
    return Outcome(task, result, error)


def _do(run: str, open_worker: OpenWorker[Task, Result], task: Task) -> tuple[Result | None, str | None]:
    try:
        if run not in _opened:
            _opened.clear()
            _opened[run] = open_worker()
        return _opened[run](task), None
    # Whatever one file makes a codec, an engine or our own code do, the other files are still to be done.
    except Exception as error:
        return None, sentence(error)
