"""What this machine does at best, measured: the yardstick beside every figure of a benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import openvino
from openvino import opset13

from rigid.models.openvino_core import get_shared_core
from rigid.operating_system import count_cores

SIDE = 1536
"""Of the square matrices multiplied; large enough for the best kernels, small enough for the cache."""
PRODUCTS = 8
"""One after another, so that bringing the first factor into another precision counts for little."""
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
    flops = {precision: _measure_products(side, precision) for precision in ("f32", "bf16")}
    cores = count_cores()
    parts = [(np.ones(copy_bytes // cores, np.uint8), np.empty(copy_bytes // cores, np.uint8)) for _ in range(cores)]
    with ThreadPoolExecutor(len(parts)) as pool:
        seconds = _least(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)))
    return Peak(flops, 2 * sum(source.size for source, _ in parts) / seconds)


def _measure_products(side: int, precision: str) -> float:
    matrix = np.random.default_rng(0).standard_normal((side, side), np.float32) / np.float32(np.sqrt(side))
    given = opset13.parameter([side, side], np.float32)
    product = given
    for _ in range(PRODUCTS):
        product = opset13.matmul(product, opset13.constant(matrix), False, False)
    model = openvino.Model([product], [given])
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    request = get_shared_core().compile_model(model, "CPU", settings).create_infer_request()
    return 2 * side**3 * PRODUCTS / _least(lambda: request.infer([matrix], share_inputs=True, share_outputs=True))


def _least(work: Callable[[], object]) -> float:
    """Seconds of the fastest round, after one that warms up."""
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times[1:])
