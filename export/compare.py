"""Runs what was exported and compares it with the networks it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engines import EngineOptions, installed_engines, open_graphs
from engines.torch_engine import open_networks
from export.networks import Exportable, Networks, exportables
from rigid.models.contract import Array, RecurrentState, Runtime

BATCHES = (1, 2)
LARGEST_ERROR = 1e-4
"""In float32, as a part of the largest value of the reference."""


@dataclass(frozen=True)
class Difference:
    """How far one graph of an engine lies from eager PyTorch on the same random inputs: its worst output."""

    engine: str
    graph: str
    batch: int
    error: float
    """Largest absolute difference, divided by the largest absolute value of the reference."""

    @property
    def passed(self) -> bool:
        """False also for NaN."""
        return self.error <= LARGEST_ERROR


def compare(networks: Networks, folder: Path, seed: int) -> list[Difference]:
    """Every installed engine that runs the files in `folder`, in float32, against `networks`."""
    options = EngineOptions(precision="f32")
    reference = open_networks(
        networks.image_encoder,
        networks.generator,
        networks.sizes,
        options,
        recurrent_encoder=networks.recurrent_encoder,
    )
    found = []
    for engine in (name for name in installed_engines() if name != "torch"):
        runtime = open_graphs(engine, folder, networks.sizes, options)
        for batch in BATCHES:
            for example in exportables(networks, seed, batch):
                pairs = zip(_answers(runtime, example), _answers(reference, example), strict=True)
                # NumPy's maximum of anything and NaN is NaN; Python's is not.
                error = float(np.max([relative_error(*pair) for pair in pairs]))
                found.append(Difference(engine, example.name, batch, error))
        runtime.close()
    return found


def table(differences: Iterable[Difference]) -> str:
    """`differences` as lines of text, worst first."""
    # NaN sorts as the worst.
    ordered = sorted(differences, key=lambda d: (-np.nan_to_num(d.error, nan=np.inf), d.engine, d.graph, d.batch))
    head = f"{'engine':<14}{'graph':<12}{'batch':>5}{'relative error':>16}  (at most {LARGEST_ERROR:g})"
    lines = (
        f"{d.engine:<14}{d.graph:<12}{d.batch:>5}{d.error:>16.2e}  {'ok' if d.passed else 'too far'}" for d in ordered
    )
    return "\n".join((head, *lines))


def relative_error(found: Array, expected: Array) -> float:
    """max |found − expected| / max |expected|; max |found| where nothing is expected."""
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1))


def _answers(runtime: Runtime, example: Exportable) -> tuple[Array, ...]:
    """Every output of the graph, as the runtime's caller gets it."""
    feeds = {name: value.numpy() for name, value in example.inputs.items()}
    if example.name == "synthesize":
        return (runtime.synthesize(**feeds),)
    inputs = feeds.pop("inputs")
    codes, noise, after = runtime.invert(inputs, replace(RecurrentState.initial(runtime.sizes, len(inputs)), **feeds))
    return codes, noise, after.hidden, after.cell
