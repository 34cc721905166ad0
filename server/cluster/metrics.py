"""The same numbers as a lone server's, of all workers, each with a `worker` label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from server.metrics import PREFIX


class _FixedCollector(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def label(families: Iterable[Metric], worker: str) -> list[Metric]:
    """Copy `families` with the worker's name on every sample."""
    return [_copy(family, worker) for family in families]


def merge(parts: Iterable[Sequence[Metric]]) -> bytes:
    """The numbers of several workers in Prometheus' text format, each family once."""
    merged: dict[str, Metric] = {}
    for family in (family for part in parts for family in part):
        if family.name in merged:
            merged[family.name].samples.extend(family.samples)
        else:
            merged[family.name] = family
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_FixedCollector(list(merged.values())))
    return generate_latest(registry)


def count_workers_by_state(states: Iterable[str]) -> Metric:
    """How many workers there are in each state."""
    found = list(states)
    family = Metric(f"{PREFIX}_workers", "Workers of the cluster, by state.", "gauge")
    for state in ("ready", "starting", "draining", "lost", "refused"):
        family.add_sample(family.name, {"state": state}, float(found.count(state)))
    return family


def _copy(family: Metric, worker: str) -> Metric:
    copy = Metric(family.name, family.documentation, family.type, family.unit)
    copy.samples = [sample._replace(labels={**sample.labels, "worker": worker}) for sample in family.samples]
    return copy
