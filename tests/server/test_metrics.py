"""What Prometheus is told."""

from __future__ import annotations

from collections import Counter

import numpy as np

from engines.batching import BatchedRuntime
from rigid.models.contract import RecurrentState
from server.metrics import Metrics
from server.readiness import Readiness
from tests.fakes import FakeRuntime


def test_batches_are_a_histogram_of_how_many_sessions_ran_together() -> None:
    counts = Counter({1: 5, 3: 2, 20: 1})
    lines = Metrics(Readiness(), lambda: counts).text().decode().splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines if line.startswith("rigid_live_batch_sessions"))
    assert told['rigid_live_batch_sessions_bucket{le="1.0"}'] == "5.0"
    assert told['rigid_live_batch_sessions_bucket{le="2.0"}'] == "5.0"
    assert told['rigid_live_batch_sessions_bucket{le="3.0"}'] == "7.0"
    assert told['rigid_live_batch_sessions_bucket{le="16.0"}'] == "7.0"
    assert told['rigid_live_batch_sessions_bucket{le="+Inf"}'] == told["rigid_live_batch_sessions_count"] == "8.0"
    assert told["rigid_live_batch_sessions_sum"] == "31.0"


def test_a_shared_engines_rounds_are_counted() -> None:
    runtime = BatchedRuntime(FakeRuntime())
    metrics = Metrics(Readiness(), lambda: runtime.batches)
    side = runtime.sizes.image_size
    runtime.invert(np.zeros((1, 3, side, side), np.float32), RecurrentState.initial(runtime.sizes))
    runtime.close()
    assert "rigid_live_batch_sessions_sum 1.0" in metrics.text().decode()
