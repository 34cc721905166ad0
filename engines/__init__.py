"""Engines: run a profile's networks fast. `load_runtime` is the only factory; each back end is one file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from engines.auto import fastest
from engines.base import EngineError, EngineOptions, Precision, first_line
from engines.batching import BatchedRuntime
from engines.files import exported, weights_hash
from rigid.assets import AssetStore
from rigid.models.build import sizes_of
from rigid.models.contract import Runtime, Sizes

__all__ = [
    "ENGINES",
    "EngineError",
    "EngineOptions",
    "Precision",
    "check_engine",
    "installed_engines",
    "load_runtime",
    "open_graphs",
]

ENGINES = ("openvino", "onnxruntime", "torch")
"""The names `--engine` takes, besides `auto`; each is also the name of the package it needs."""


def installed_engines() -> tuple[str, ...]:
    """The engines whose package is installed."""
    return tuple(name for name in ENGINES if importlib.util.find_spec(name))


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

    `engine`: one of `ENGINES`, or `auto`, which measures once which of those that run exported networks is
    fastest here and remembers the answer; without any of them it is `torch`.
    `threads`: how many one call may use; None = as many as there are cores. `precision` "f32": float32
    throughout, for comparisons. `shared`: sessions on several threads may call it at once, and what waits together
    runs as one batch (`engines.batching`). Raises ValueError for an unknown profile or engine, and EngineError when the
    engine is not installed, the exported networks are missing, or it cannot be loaded.
    """
    sizes_of(profile)
    check_engine(engine)
    store = store or AssetStore()
    options = EngineOptions(threads, precision)
    if engine == "auto":
        engine = _choose(profile, store, options)
    runtime = _load(profile, engine, store, options)
    return BatchedRuntime(runtime) if shared else runtime


def open_graphs(engine: str, folder: Path, sizes: Sizes, options: EngineOptions) -> Runtime:
    """`engine` over `invert.onnx` and `synthesize.onnx` in `folder`, whatever weights they hold.

    Raises EngineError as `load_runtime` does; the engine `torch` runs no files.
    """
    if engine not in installed_engines():
        raise EngineError(f"The engine {engine} is not installed; run `pip install {engine}` or choose another engine.")
    try:
        if engine == "openvino":
            from engines import openvino_engine

            return openvino_engine.open_graphs(folder, sizes, options)
        from engines import onnxruntime_engine

        return onnxruntime_engine.open_graphs(folder, sizes, options)
    except Exception as error:  # each back end raises classes of its own
        raise EngineError(f"The engine {engine} cannot load the networks in {folder}: {first_line(error)}.") from error


def _load(profile: str, engine: str, store: AssetStore, options: EngineOptions) -> Runtime:
    if engine == "torch":
        from engines import torch_engine

        return torch_engine.load(profile, store, options)
    return open_graphs(engine, exported(profile, store), sizes_of(profile), options)


def _choose(profile: str, store: AssetStore, options: EngineOptions) -> str:
    # Eager PyTorch is the reference: several times slower than the others, and slow to load.
    candidates = [name for name in installed_engines() if name != "torch"]
    if not candidates:
        return "torch"
    # Missing exports are told here, where otherwise every engine would be left out for them.
    exported(profile, store)
    of = f"{profile} {weights_hash(profile, store)}, {options.threads or 'all'} threads, {options.precision}"
    cache_file = store.cache_dir / "engines" / "fastest.json"
    return fastest(candidates, lambda name: _load(profile, name, store, options), cache_file, of)
