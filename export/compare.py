"""Runs what was exported and compares it with the networks it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engines import EngineOptions, installed_engines, open_graphs
from export.networks import Networks, exportables
from rigid.models.contract import Array, RecurrentState, Runtime

BATCHES = (1, 2)
LARGEST_ERROR = 1e-4
"""In float32, as a part of the largest value of the reference."""


@dataclass(frozen=True)
class Difference:
    """How far one output of an engine lies from eager PyTorch on the same random inputs."""

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
    found = []
    for engine in (name for name in installed_engines() if name != "torch"):
        runtime = open_graphs(engine, folder, networks.sizes, EngineOptions(precision="f32"))
        for batch in BATCHES:
            found += [Difference(engine, graph, batch, e) for graph, e in _errors(networks, runtime, seed, batch)]
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
    """max |found − expected| / max |expected|."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _errors(networks: Networks, runtime: Runtime, seed: int, batch: int) -> Sequence[tuple[str, float]]:
    encode, generate = exportables(networks, seed, batch)
    with torch.inference_mode():
        codes = networks.image_encoder(*encode.inputs.values()).numpy()
        images = networks.generator(*generate.inputs.values()).numpy()
    state = RecurrentState.initial(networks.sizes, batch)
    found_codes, _, _ = runtime.invert(encode.inputs["inputs"].numpy(), state)
    found_images = runtime.synthesize(*(value.numpy() for value in generate.inputs.values()))
    return ("invert", relative_error(found_codes, codes)), ("synthesize", relative_error(found_images, images))
