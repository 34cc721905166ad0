"""What is kept on disk for the engines: exports, built engines, measurements."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass

from engines.fastest_engine import list_measurements
from engines.registry import ENGINES, find_installed_engines
from rigid.assets.store import AssetStore
from rigid.models.engine_cache import EngineCache

FOLDERS = ("exports", "engines", "plans", "onnxruntime-tensorrt", "torch-tensorrt")
"""In the store's cache; all of it can be made again."""


@dataclass(frozen=True)
class EngineEntry:
    """One engine's line in a list of all."""

    name: str
    state: str
    """`ready`, `no GPU` or `not installed`."""
    note: str
    """What was measured, or what to do."""

    def as_json(self) -> dict[str, str]:
        """Return the entry, ready for JSON."""
        return asdict(self)


def list_all(store: AssetStore) -> list[EngineEntry]:
    """List every engine, in the order of `ENGINES`."""
    here, times = find_installed_engines(), list_measurements(store)
    return [_entry(name, name in here, times, _describe_kept(store, name)) for name in ENGINES]


def clear_all(store: AssetStore) -> tuple[int, int]:
    """Remove what is kept; how many files and bytes that were."""
    paths = [path for name in FOLDERS for path in (store.cache_dir / name).rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in paths)
    for name in FOLDERS:
        shutil.rmtree(store.cache_dir / name, ignore_errors=True)
    return len(paths), size


def _describe_kept(store: AssetStore, name: str) -> list[str]:
    """Say how large compiled networks are together, and which GPUs those are for that any machine can build."""
    cache = EngineCache(store.cache_dir / "plans" / name, name)
    size = sum(path.stat().st_size for path in cache.folder.glob("*.plan")) / 1e6
    targets = cache.list_targets()
    return [f"compiled: {size:.0f} MB{' for ' if targets else ''}{', '.join(targets)}"] if size else []


def _entry(name: str, here: bool, times: list[dict[str, float]], kept: list[str]) -> EngineEntry:
    engine = ENGINES[name]
    if not engine.installed:
        return EngineEntry(name, "not installed", f"pip install {engine.install}")
    if not here:
        return EngineEntry(name, "no GPU", "; ".join(["needs an NVIDIA GPU", *kept]))
    measured = [f"{known[name]:.0f} ms" for known in times if name in known]
    notes = [f"a frame's networks: {', '.join(measured)}"] if measured else []
    return EngineEntry(name, "ready", "; ".join([*notes, *kept]))
