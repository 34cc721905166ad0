"""The bounds that stand beside a benchmark's figures: what this machine could do at best with these networks."""

from __future__ import annotations

from pathlib import Path

from engines.cost import Layer, Machine, find_least_seconds, read_layers
from engines.exports import BATCHES
from engines.peak import Peak

BYTES = {"f32": 4, "bf16": 2}


def bounds_of(folder: Path, peak: Peak) -> dict[str, object]:
    """Bound a frame through the networks exported to `folder`: arithmetic, traffic, and the least time."""
    files = {graph: folder / f"{graph}.onnx" for graph in BATCHES}
    layers = {graph: read_layers(path, BATCHES[graph]) for graph, path in files.items() if path.is_file()}
    return {"peak": peak.as_json(), **{graph: _graph(found, peak) for graph, found in layers.items()}}


def _graph(layers: list[Layer], peak: Peak) -> dict[str, object]:
    bound = {
        precision: round(1000 * find_least_seconds(layers, Machine(peak.flops[precision], peak.bandwidth, width)), 1)
        for precision, width in BYTES.items()
    }
    gflop = round(sum(layer.flops for layer in layers) / 1e9, 2)
    return {"gflop": gflop, "mb_f32": round(sum(4 * layer.elements for layer in layers) / 1e6, 1), "bound_ms": bound}
