"""Where the exported networks of a profile lie, and how to tell whether they are still the right ones."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from engines.base import EngineError
from engines.registry import ENGINES, installed_engines
from rigid.assets import AssetStore
from rigid.models.contract import Sizes
from rigid.models.profiles import PAPER, sizes_of, weights_files

GRAPHS = ("invert", "synthesize")
FACE_GRAPH = "synthesize_face"
"""Beside them where the profile has a `face_window`, in float32 and in int8."""
BATCHES = {"invert": 1, "synthesize": 2, FACE_GRAPH: 2}
"""Of one frame: the inverted and the edited face are one batch."""
INT8_FILES, INT8_RECORD = ("synthesize.int8.onnx", "synthesize_face.int8.onnx"), "int8.json"
FORMAT = 4
"""Goes up when the graphs change while the weights do not, so that old exports are made again."""


def export_folder(profile: str, store: AssetStore) -> Path:
    """The folder of the profile's `invert.onnx`, `synthesize.onnx` and `export.json`."""
    sizes_of(profile)
    return store.cache_dir / "exports" / profile


def weights_hash(profile: str, store: AssetStore) -> str:
    """SHA-256 over all weights of the profile, fetched and own, and the format of the export."""
    files = weights_files(profile)
    if profile != PAPER:
        files.insert(0, store.file("generator", "SynthesisNetwork.bin"))
    digest = hashlib.sha256(f"format {FORMAT}".encode())
    for path in files:
        digest.update(path.name.encode())
        status = path.stat()
        digest.update(_digest(path, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()


@functools.lru_cache(64)
def _digest(path: Path, size: int, changed: int) -> bytes:
    """SHA-256 of a file, read once as long as its size and time stay."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def is_current(folder: Path, weights: str) -> bool:
    """True when `folder` holds whole exports of the weights with the hash `weights`."""
    try:
        record = json.loads((folder / "export.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    sizes = record.get("sizes", {}) if isinstance(record, dict) and record.get("weights") == weights else {}
    paths = [folder / name for name in {*needed_files(), *sizes}]
    return all(path.is_file() and path.stat().st_size == sizes.get(path.name) for path in paths)


def has_int8(folder: Path) -> bool:
    """True when `folder` holds int8's file, made from the exports beside it."""
    try:
        record, exports = (json.loads((folder / name).read_text("utf-8")) for name in (INT8_RECORD, "export.json"))
        known = isinstance(record, dict) and isinstance(exports, dict) and isinstance(record.get("sizes"), dict)
        return (
            known
            and record.get("weights") == exports.get("weights")
            and all((folder / name).stat().st_size == size for name, size in record["sizes"].items())
        )
    except (OSError, ValueError):
        return False


def needed_files() -> list[str]:
    """The names of the files that the engines which can run here read, whatever the profile."""
    kinds = {ENGINES[name].files for name in installed_engines()} - {""} | {"{}.onnx"}
    return [kind.format(name) for kind in sorted(kinds) for name in GRAPHS]


def graph_files(folder: Path, sizes: Sizes, generator: str = "{}.onnx") -> list[Path]:
    """`invert`, `synthesize` and, where there is one, `synthesize_face`; `generator` names the last two."""
    names = ["invert.onnx", generator.format("synthesize")]
    if sizes.face_window is not None:
        names.append(generator.format(FACE_GRAPH))
    return [folder / name for name in names]


def is_exported(profile: str, store: AssetStore) -> bool:
    """Whether the profile's exports are there, and of its weights."""
    return is_current(export_folder(profile, store), weights_hash(profile, store))


def exported(profile: str, store: AssetStore) -> Path:
    """The folder of the profile's exports; EngineError when they are missing or of other weights."""
    if not is_exported(profile, store):
        raise EngineError(f"The exported networks of {profile} are missing or out of date; run `rigid-live export`.")
    return export_folder(profile, store)
