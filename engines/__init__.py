"""Engines: run a profile's networks fast. `load_runtime` is the only factory; each back end is one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from engines.background_upgrade import UpgradingRuntime
from engines.batching import BatchedRuntime, BatchingOptions
from engines.exports import export_folder, has_int8, weights_hash
from engines.fastest_engine import cache_file, find_fastest
from engines.filling import require_exports
from engines.graph_runtime import EngineError, EngineOptions, Precision, first_line
from engines.registry import ENGINES, RTX, Engine, find_installed_engines, find_tensorrt, has_gpu
from rigid.assets.store import AssetStore
from rigid.models.contract import Runtime, Sizes
from rigid.models.profiles import sizes_of
from rigid.operating_system import count_cores

__all__ = [
    "ENGINES",
    "EngineError",
    "EngineOptions",
    "Precision",
    "build_portable",
    "check_engine",
    "check_portable",
    "find_installed_engines",
    "load_runtime",
    "open_graphs",
]


def check_engine(engine: str) -> None:
    """ValueError, naming the choices, unless `engine` is one of `ENGINES` or `auto`."""
    if engine not in ("auto", *ENGINES):
        raise ValueError(f"There is no engine {engine!r}; choose one of: auto, {', '.join(ENGINES)}.")


def load_runtime(
    profile: str,
    engine: str = "auto",
    *,
    store: AssetStore | None = None,
    threads: int | None = None,
    precision: Precision = "auto",
    shared: bool = False,
) -> Runtime:
    """The networks of `profile`, ready to run.

    `engine`: one of `ENGINES`, or `auto`, which measures once which of those installed is fastest here and
    remembers the answer; without any other it is `torch`. `tensorrt` is `tensorrt-rtx` where that one alone is there.
    `threads`: how many one call may use; None = as many as there are cores. `precision` "f32": float32
    throughout, for comparisons. `shared`: sessions on several threads may call it at once, and what waits together
    runs as one batch (`engines.batching`). Raises ValueError for an unknown profile or engine, and EngineError when the
    engine is not installed, the exported networks are missing, or it cannot be loaded.
    """
    sizes_of(profile)
    check_engine(engine)
    store = store or AssetStore()
    options = EngineOptions(threads, precision, store.cache_dir / "plans")
    engine = find_tensorrt(engine)
    asked = engine == "auto" or ENGINES[engine].built
    unbuilt = _find_unbuilt(profile, store, options) if shared and asked else []
    better = next((name for name in unbuilt if engine in ("auto", name)), None)
    if engine == "auto" or better is not None:
        engine = _choose(profile, store, options, but=unbuilt)
    runtime = _load(profile, engine, store, options)
    if better is not None:
        # Building takes up to minutes, in which nobody should wait.
        runtime = UpgradingRuntime(runtime, lambda: _load(profile, better, store, options))
    return BatchedRuntime(runtime, BatchingOptions(_most_rows(threads))) if shared else runtime


def _most_rows(threads: int | None) -> int:
    """Pictures in a batch: on processors one a core, as a larger batch is no quicker, and takes memory."""
    most = BatchingOptions().most_rows
    return most if has_gpu() else min(most, threads or count_cores())


def _find_unbuilt(profile: str, store: AssetStore, options: EngineOptions) -> list[str]:
    """Find the engines that can run here, but have to be built for the profile first: none that are kept fit."""
    names = [name for name in find_installed_engines() if ENGINES[name].built]
    folder = require_exports(profile, store) if names else Path()
    return [name for name in names if not ENGINES[name].load_module().is_built(folder, replace(options, engine=name))]


def open_graphs(engine: str, folder: Path, sizes: Sizes, options: EngineOptions) -> Runtime:
    """`engine` over `invert.onnx` and `synthesize.onnx` in `folder`, whatever weights they hold.

    Raises EngineError as `load_runtime` does; the engine `torch` runs no files.
    """
    known = _require_installed(engine)
    try:
        runtime: Runtime = known.load_module().open_graphs(folder, sizes, replace(options, engine=engine))
    except EngineError:
        raise
    except Exception as error:  # each back end raises classes of its own
        raise EngineError(f"The engine {engine} cannot load the networks in {folder}: {first_line(error)}.") from error
    return runtime


def check_portable(capabilities: Sequence[str]) -> None:
    """ValueError unless `tensorrt-rtx` builds for each of these compute `capabilities`, EngineError without it."""
    _require_installed(RTX)
    from engines.backends.tensorrt_library import Library

    Library(RTX).check_capabilities(capabilities)


def build_portable(
    folder: Path, store: AssetStore, capabilities: Sequence[str], report: Callable[[str], None], *, force: bool = False
) -> None:
    """Build and keep the engines of `tensorrt-rtx` for the networks exported to `folder`, in bfloat16 and float32.

    On any machine, for GPUs with these compute `capabilities` (as "8.6"), or for all that it knows; what is kept of the
    same networks and capabilities stays, unless `force`. `report` takes a line for each. EngineError where it is not
    installed or cannot build.
    """
    _require_installed(RTX)
    from engines.backends.tensorrt_library import Library
    from engines.backends.tensorrt_plans import Plans

    Plans(Library(RTX), store.cache_dir / "plans").build_portable(folder, capabilities, report, force=force)


def _require_installed(engine: str) -> Engine:
    known = ENGINES[engine]
    if not known.installed:
        raise EngineError(
            f"The engine {engine} is not installed; run `pip install {known.install}` or choose another engine."
        )
    return known


def _load(profile: str, engine: str, store: AssetStore, options: EngineOptions) -> Runtime:
    known = ENGINES[engine]
    if known.files or not known.installed:
        return open_graphs(engine, require_exports(profile, store), sizes_of(profile), options)
    runtime: Runtime = known.load_module().load(profile, store, options)
    return runtime


def _choose(profile: str, store: AssetStore, options: EngineOptions, but: Collection[str] = ()) -> str:
    # Eager PyTorch is the reference: on a processor several times slower than the others, and slow to load.
    int8 = options.precision != "f32" and has_int8(export_folder(profile, store))
    candidates = [
        name
        for name in find_installed_engines()
        if name not in but and (name != "torch" or has_gpu()) and (int8 or not ENGINES[name].int8)
    ]
    if not candidates:
        return "torch"
    if any(ENGINES[name].files for name in candidates):
        # Missing exports are told here, where otherwise every engine would be left out for them.
        require_exports(profile, store)
    precision = f"{options.precision}, int8" if int8 else options.precision
    of = f"{profile} {weights_hash(profile, store)}, {options.threads or 'all'} threads, {precision}, faces"
    # Where all are the processor's, its time tells them apart whatever else runs: beside an installation the clock took
    # one for the fastest that needs twice as long, for good. What a GPU takes is charged to no process.
    clock = time.perf_counter if has_gpu() else time.process_time
    return find_fastest(candidates, lambda name: _load(profile, name, store, options), cache_file(store), of, clock)
