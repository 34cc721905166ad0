"""Engines: run a profile's networks fast. `load_runtime` is the only factory; each back end is one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines.background_upgrade import UpgradingRuntime
from engines.batching import BatchedRuntime, BatchingOptions
from engines.exports import export_folder, has_int8, weights_hash
from engines.fastest_engine import cache_file, find_fastest
from engines.filling import require_exports
from engines.graph_runtime import EngineError, EngineOptions, Precision, first_line
from engines.registry import ENGINES, RTX, Engine, find_installed_engines, find_tensorrt, has_gpu
from engines.shared_runtime import SharedRuntime
from engines.side_by_side import CoresRuntime, SideBySideRuntime
from rigid.assets.store import AssetStore
from rigid.models.contract import Runtime, Sizes
from rigid.models.profiles import sizes_of

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
    known: Mapping[str, Engine] = ENGINES,
) -> Runtime:
    """The networks of `profile`, ready to run.

    `engine`: one of `ENGINES`, or `auto`, which measures once which of those installed is fastest here and
    remembers the answer; without any other it is `torch`. `tensorrt` is `tensorrt-rtx` where that one alone is there.
    `threads`: how many one call may use; None = as many as there are cores. `precision` "f32": float32
    throughout, for comparisons. `shared`: sessions on several threads may call it at once, and what waits together
    runs as one batch (`engines.batching`) or a core each (`engines.side_by_side`). `known`: the engines there are, by
    name. Raises ValueError for an unknown profile or engine, and EngineError when the engine is not installed, the
    exported networks are missing, or it cannot be loaded.
    """
    sizes_of(profile)
    check_engine(engine)
    store = store or AssetStore()
    loader = _Loader(profile, store, EngineOptions(threads, precision, store.cache_dir / "plans"), known)
    engine = find_tensorrt(engine, known)
    asked = engine == "auto" or known[engine].built
    unbuilt = loader.find_unbuilt() if shared and asked else []
    better = next((name for name in unbuilt if engine in ("auto", name)), None)
    if engine == "auto" or better is not None:
        engine = loader.choose(but=unbuilt)
    runtime = loader.load(engine)
    if better is not None:
        # Building takes up to minutes, in which nobody should wait.
        runtime = UpgradingRuntime(runtime, lambda: loader.load(better))
    return _share(runtime, threads) if shared else runtime


def _share(runtime: Runtime, threads: int | None) -> SharedRuntime:
    """`runtime` for calls from several threads at once."""
    if isinstance(runtime, CoresRuntime) and (cores := runtime.open_cores()):
        return SideBySideRuntime(runtime, cores)
    return BatchedRuntime(runtime, BatchingOptions.of_machine(threads, gpu=has_gpu()))


def open_graphs(engine: str, folder: Path, sizes: Sizes, options: EngineOptions) -> Runtime:
    """`engine` over `invert.onnx` and `synthesize.onnx` in `folder`, whatever weights they hold.

    Raises EngineError as `load_runtime` does; the engine `torch` runs no files.
    """
    return _open(ENGINES[engine], folder, sizes, options)


def _open(engine: Engine, folder: Path, sizes: Sizes, options: EngineOptions) -> Runtime:
    _require(engine)
    try:
        runtime: Runtime = engine.load_module().open_graphs(folder, sizes, replace(options, engine=engine.name))
    except EngineError:
        raise
    except Exception as error:  # each back end raises classes of its own
        message = f"The engine {engine.name} cannot load the networks in {folder}: {first_line(error)}."
        raise EngineError(message) from error
    return runtime


def check_portable(capabilities: Sequence[str]) -> None:
    """ValueError unless `tensorrt-rtx` builds for each of these compute `capabilities`, EngineError without it."""
    _require(ENGINES[RTX])
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
    _require(ENGINES[RTX])
    from engines.backends.tensorrt_library import Library
    from engines.backends.tensorrt_plans import Plans

    Plans(Library(RTX), store.cache_dir / "plans").build_portable(folder, capabilities, report, force=force)


def _require(engine: Engine) -> None:
    if not engine.installed:
        raise EngineError(
            f"The engine {engine.name} is not installed; run `pip install {engine.install}` or choose another engine."
        )


@dataclass(frozen=True)
class _Loader:
    """Loads the networks of a profile by one engine of those that are known."""

    profile: str
    store: AssetStore
    options: EngineOptions
    known: Mapping[str, Engine]

    def load(self, name: str) -> Runtime:
        engine = self.known[name]
        if engine.files or not engine.installed:
            folder = require_exports(self.profile, self.store)
            return _open(engine, folder, sizes_of(self.profile), self.options)
        runtime: Runtime = engine.load_module().load(self.profile, self.store, self.options)
        return runtime

    def find_unbuilt(self) -> list[str]:
        """Find the engines that can run here, but have to be built for the profile first: none that are kept fit."""
        built = [self.known[name] for name in find_installed_engines(self.known) if self.known[name].built]
        folder = require_exports(self.profile, self.store) if built else Path()
        options = {engine.name: replace(self.options, engine=engine.name) for engine in built}
        return [one.name for one in built if not one.load_module().is_built(folder, options[one.name])]

    def choose(self, but: Collection[str] = ()) -> str:
        """The fastest that can run here, of all `but` these."""
        # Eager PyTorch is the reference: on a processor several times slower than the others, and slow to load.
        int8 = self.options.precision != "f32" and has_int8(export_folder(self.profile, self.store))
        candidates = [
            name
            for name in find_installed_engines(self.known)
            if name not in but and (name != "torch" or has_gpu()) and (int8 or not self.known[name].int8)
        ]
        if not candidates:
            return "torch"
        if any(self.known[name].files for name in candidates):
            # Missing exports are told here, where otherwise every engine would be left out for them.
            require_exports(self.profile, self.store)
        precision = f"{self.options.precision}, int8" if int8 else self.options.precision
        weights, threads = weights_hash(self.profile, self.store), self.options.threads or "all"
        of = f"{self.profile} {weights}, {threads} threads, {precision}, faces"
        # Where all are the processor's, its time tells them apart whatever else runs: beside an installation the clock
        # took one for the fastest that needs twice as long, for good. What a GPU takes is charged to no process.
        clock = time.perf_counter if has_gpu() else time.process_time
        return find_fastest(candidates, self.load, cache_file(self.store), of, clock)
