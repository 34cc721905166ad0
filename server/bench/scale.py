"""How cost grows: the networks with the batch, the work around them with the frame's size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import cv2
import numpy as np

from rigid.arrays import Pixels
from rigid.models.contract import RecurrentState, Runtime
from server.bench.measure import MakeStream

BATCH_SIZES = (1, 2, 4, 8, 16)
HEIGHTS = (240, 480, 720, 1080)
REPEATS = 5
FRAME_SECONDS = 1 / 30


def scale_batches(runtime: Runtime, batches: Sequence[int] = BATCH_SIZES) -> list[dict[str, float]]:
    """Medians of both networks by batch, in all and a face."""
    sizes, random = runtime.sizes, np.random.default_rng(0)
    rows = []
    for batch in batches:
        pictures = random.uniform(-1, 1, (batch, 3, sizes.image_size, sizes.image_size)).astype(np.float32)
        codes, noise, _ = runtime.invert(pictures, RecurrentState.initial(sizes, batch))
        invert = _median_ms(lambda p=pictures, b=batch: runtime.invert(p, RecurrentState.initial(sizes, b)))  # type: ignore[misc]
        synthesize = _median_ms(lambda c=codes, n=noise: runtime.synthesize(c, n))  # type: ignore[misc]
        rows.append(
            {
                "batch": batch,
                "invert_ms": round(invert, 2),
                "synthesize_ms": round(synthesize, 2),
                "ms_a_face": round((invert + synthesize) / batch, 2),
            }
        )
    return rows


def scale_resolutions(
    make_stream: MakeStream, frames: Sequence[Pixels], edits: dict[str, float], heights: Sequence[int] = HEIGHTS
) -> list[dict[str, float]]:
    """Medians of the work around the networks by the frame's size; the face grows with it."""
    rows = []
    for height in heights:
        width = height * frames[0].shape[1] // frames[0].shape[0]
        stream = make_stream()
        found: dict[str, list[float]] = {"align": [], "blend": []}
        for i, frame in enumerate(frames):
            sized = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            result = stream.step(sized, edits, i * FRAME_SECONDS)
            for stage, times in found.items():
                times += [result.stage_ms[stage]] if stage in result.stage_ms else []
        stream.close()
        medians = {f"{stage}_ms": round(median(times), 2) if times else 0.0 for stage, times in found.items()}
        rows.append({"width": width, "height": height, **medians})
    return rows


def _median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return median(times)
