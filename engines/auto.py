"""`auto`: measures the installed engines once a machine, and remembers which is fastest."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from engines.base import EngineError
from engines.machine import cores, processor, versions
from rigid.models.contract import RecurrentState, Runtime

logger = logging.getLogger(__name__)
ROUNDS = 3
FRAME_BATCH = 2
"""The inverted and the edited face of a frame are one batch."""


def measure_frame(runtime: Runtime, rounds: int = ROUNDS) -> float:
    """The least milliseconds of one `invert` and one `synthesize` of two faces, after one that warms up."""
    sizes = runtime.sizes
    inputs = np.zeros((1, 3, sizes.image_size, sizes.image_size), np.float32)
    state = RecurrentState.initial(sizes)
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        codes, noise, _ = runtime.invert(inputs, state)
        runtime.synthesize(codes.repeat(FRAME_BATCH, 0), noise.repeat(FRAME_BATCH, 0))
        times.append(1000 * (time.perf_counter() - started))
    return min(times[1:])


def fastest(names: Sequence[str], load: Callable[[str], Runtime], cache_file: Path, of: str) -> str:
    """The fastest of the engines `names` at what `of` describes (profile, weights, threads) on this machine.

    The answer is kept in `cache_file`; it is measured anew when the machine, a package or `of` changes.
    Engines that cannot be loaded are left out with a warning; EngineError when none can.
    """
    key = "; ".join((processor(), f"{cores()} cores", json.dumps(versions(tuple(names))), of))
    known = _read(cache_file)
    times = known.get(key)
    if not times or set(times) - set(names):
        times = _measure(names, load)
        _write(cache_file, known | {key: times})
    best = min(times, key=lambda name: times[name])
    figures = ", ".join(f"{name} {times[name]:.0f} ms" for name in sorted(times, key=lambda name: times[name]))
    logger.info("engine %s: the fastest for a frame on this machine (%s)", best, figures)
    return best


def _measure(names: Sequence[str], load: Callable[[str], Runtime]) -> dict[str, float]:
    times: dict[str, float] = {}
    for name in names:
        try:
            runtime = load(name)
            times[name] = round(measure_frame(runtime), 2)
            runtime.close()
        except EngineError as error:
            logger.warning("engine %s is left out: %s", name, error)
    if not times:
        raise EngineError(f"None of the engines {', '.join(names)} can be loaded; the log says why.")
    return times


def _read(cache_file: Path) -> dict[str, dict[str, float]]:
    """What was measured before; nothing where the file is missing or broken."""
    try:
        known = json.loads(cache_file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(cache_file: Path, known: dict[str, dict[str, float]]) -> None:
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    part = cache_file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(known, indent=1), "utf-8")
    part.replace(cache_file)
