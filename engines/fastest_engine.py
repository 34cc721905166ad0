"""`auto`: measures the installed engines once a machine, and remembers which is fastest."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from engines.graph_runtime import EngineError
from engines.machine import gpus, versions
from rigid.assets.store import AssetStore
from rigid.models.contract import RecurrentState, Runtime
from rigid.operating_system import count_cores, name_processor

logger = logging.getLogger(__name__)
ROUNDS = 3
PACKAGES = (
    *("openvino", "onnxruntime", "onnxruntime-gpu", "torch"),
    *("tensorrt-cu13", "tensorrt-rtx-cu13-bindings", "torch-tensorrt"),
)
"""A new version of any may be faster or slower than the last."""
MOST_KEPT = 50
"""Measurements that are remembered, the newest ones: profiles, thread counts, versions and weights come and go."""
Clock = Callable[[], float]
"""Gives seconds: those that pass, or those of a core that this process was given."""
FRAME_BATCH = 2
"""The inverted and the edited face of a frame are one batch; so are the real and the edited one, where parsed."""


def measure_frame(runtime: Runtime, rounds: int = ROUNDS, clock: Clock = time.perf_counter) -> float:
    """The least milliseconds of one frame's networks, after one that warms up: `invert`, two faces, and two parsed.

    The faces are generated as for most edits: their part of the picture only, where the engine makes that. `clock`
    gives seconds.
    """
    sizes = runtime.sizes
    inputs = np.zeros((1, 3, sizes.image_size, sizes.image_size), np.float32)
    state = RecurrentState.initial(sizes)
    times = []
    for _ in range(rounds + 1):
        started = clock()
        codes, noise, _ = runtime.invert(inputs, state)
        pair = codes.repeat(FRAME_BATCH, 0), noise.repeat(FRAME_BATCH, 0)
        if sizes.face_window is None:
            runtime.synthesize(*pair)
        else:
            runtime.synthesize_face(*pair, np.zeros((FRAME_BATCH, 2), np.float32))
        if sizes.n_classes:
            runtime.parse(inputs.repeat(FRAME_BATCH, 0))
        times.append(1000 * (clock() - started))
    return min(times[1:])


def find_fastest(
    names: Sequence[str], load: Callable[[str], Runtime], kept_in: Path, of: str, clock: Clock = time.perf_counter
) -> str:
    """Find the fastest of the engines `names` at what `of` describes (profile, weights, threads) on this machine.

    The answer is kept in `kept_in`; it is measured anew when the machine, a package or `of` changes.
    Engines that cannot be loaded are left out with a warning; EngineError when none can.
    """
    machine = (name_processor(), f"{count_cores()} cores", *gpus(), json.dumps(versions(PACKAGES)))
    key = "; ".join((*machine, of, clock.__name__))
    known = _read(kept_in)
    times = known.get(key)
    if not times or set(times) - set(names):
        times = _measure(names, load, clock)
        known.pop(key, None)
        _write(kept_in, dict([*known.items(), (key, times)][-MOST_KEPT:]))
    best = min(times, key=lambda name: times[name])
    figures = ", ".join(f"{name} {times[name]:.0f} ms" for name in sorted(times, key=lambda name: times[name]))
    logger.info("engine %s: the fastest for a frame on this machine (%s)", best, figures)
    return best


def list_measurements(store: AssetStore) -> list[dict[str, float]]:
    """List milliseconds by engine, of every measurement that is kept for this machine."""
    return [times for key, times in _read(cache_file(store)).items() if key.startswith(name_processor())]


def cache_file(store: AssetStore) -> Path:
    """Where measurements are kept."""
    return store.cache_dir / "engines" / "fastest.json"


def _measure(names: Sequence[str], load: Callable[[str], Runtime], clock: Clock) -> dict[str, float]:
    times: dict[str, float] = {}
    for name in names:
        try:
            runtime = load(name)
            times[name] = round(measure_frame(runtime, clock=clock), 2)
            runtime.close()
        except EngineError as error:
            logger.warning("engine %s is left out: %s", name, error)
    if not times:
        raise EngineError(f"None of the engines {', '.join(names)} can be loaded; the log says why.")
    return times


def _read(path: Path) -> dict[str, dict[str, float]]:
    """What was measured before; nothing where the file is missing or broken."""
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(path: Path, known: dict[str, dict[str, float]]) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(known, indent=1), "utf-8")
        part.replace(path)
    except OSError as error:
        # A full disk costs the next start a measurement, not this one its engine.
        logger.warning("engine auto: what it measured is not kept: %s", error)
        with suppress(OSError):
            part.unlink(missing_ok=True)
