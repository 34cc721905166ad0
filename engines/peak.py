"""What this machine does at best, measured: the yardstick beside every figure of a benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SIDE = 1536
"""Of the square matrices multiplied; large enough for the best kernels, small enough for the cache."""
COPY_BYTES = 128 * 2**20
"""Far more than a processor's cache holds."""
ROUNDS = 5


@dataclass(frozen=True)
class Peak:
    """Measured on all cores this process may use."""

    flops: dict[str, float]
    """Multiplications and additions a second in a matrix product, by precision: f32, bf16."""
    bandwidth: float
    """Bytes a second, read and written, in a copy."""

    def as_json(self) -> dict[str, object]:
        """Return the figures in units of 10⁹ a second, ready for JSON."""
        gflops = {precision: round(value / 1e9, 1) for precision, value in self.flops.items()}
        return {"matrix_gflops": gflops, "copy_gb_per_s": round(self.bandwidth / 1e9, 1)}


def measure_peak(side: int = SIDE, copy_bytes: int = COPY_BYTES) -> Peak:
    """The best of a few rounds each."""
    import torch

    flops = {}
    with torch.inference_mode():
        for precision, kind in (("f32", torch.float32), ("bf16", torch.bfloat16)):
            a, b = torch.rand(side, side).to(kind), torch.rand(side, side).to(kind)
            out = torch.empty_like(a)
            flops[precision] = 2 * side**3 / _least(lambda a=a, b=b, out=out: torch.mm(a, b, out=out))  # type: ignore[misc]
    source, target = np.ones(copy_bytes, np.uint8), np.empty(copy_bytes, np.uint8)
    halves = torch.from_numpy(source), torch.from_numpy(target)
    # PyTorch copies with all its threads, NumPy with one.
    return Peak(flops, 2 * copy_bytes / _least(lambda: halves[1].copy_(halves[0])))


def _least(work: Callable[[], object]) -> float:
    """Seconds of the fastest round, after one that warms up."""
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times[1:])
