"""Where the exported networks of a profile lie, and how to tell whether they are still the right ones."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from engines.graph_runtime import FACE_GRAPH, PARSE_GRAPH
from engines.registry import ENGINES, find_installed_engines
from rigid.assets.store import AssetStore
from rigid.models.contract import Sizes
from rigid.models.graph_weights import graphs_folder
from rigid.models.profiles import PAPER, parser_file, sizes_of, weights_files

GRAPHS = ("invert", "synthesize")
"""Those that every profile has. Beside them lie `synthesize_face` where it has a `face_window`, in float32 and in int8,
and `parse` where the face parser has weights."""
BATCHES = {"invert": 1, "synthesize": 2, FACE_GRAPH: 2, PARSE_GRAPH: 2}
"""Of one frame: the inverted and the edited face are one batch, the real and the edited one are parsed as one."""
WHOLE, HALF = "{}.onnx", "{}.bf16.onnx"
"""The files of a graph, in float32 and in bfloat16."""
DATA = {WHOLE: "weights.bin", HALF: "weights.bf16.bin"}
"""The files of the weights of all graphs that do not hold their own."""
RECORD = "export.json"
INT8_FILES, INT8_RECORD = ("synthesize.int8.onnx", "synthesize_face.int8.onnx"), "int8.json"
FORMAT = 6
"""Goes up when the graphs change while the weights do not, so that old exports are made again."""


def export_folder(profile: str, store: AssetStore) -> Path:
    """The folder of the profile's `invert.onnx`, `synthesize.onnx` and `export.json`."""
    sizes_of(profile)
    return store.cache_dir / "exports" / profile


def weights_hash(profile: str, store: AssetStore) -> str:
    """SHA-256 over all weights of the profile, fetched and own, its graphs, and the format of the export."""
    files = weights_files(profile)
    graphs = graphs_folder(profile)
    if graphs is not None:
        files += sorted(graphs.iterdir())
    if parser_file().is_file():
        files.append(parser_file())
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


def is_current(folder: Path, weights: str, kinds: Collection[str] = ()) -> bool:
    """True when `folder` holds whole exports of the weights with the hash `weights`.

    `kinds`: see `list_needed_kinds`.
    """
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    sizes = record.get("sizes", {}) if isinstance(record, dict) and record.get("weights") == weights else {}
    needed = {kind.format(graph) for graph in GRAPHS for kind in list_needed_kinds(graph, kinds)}
    paths = [folder / name for name in needed | set(sizes)]
    return all(path.is_file() and path.stat().st_size == sizes.get(path.name) for path in paths)


def has_int8(folder: Path) -> bool:
    """True when `folder` holds int8's file, made from the exports beside it."""
    try:
        record, exports = (json.loads((folder / name).read_text("utf-8")) for name in (INT8_RECORD, RECORD))
        known = isinstance(record, dict) and isinstance(exports, dict) and isinstance(record.get("sizes"), dict)
        return (
            known
            and record.get("weights") == exports.get("weights")
            and all((folder / name).stat().st_size == size for name, size in record["sizes"].items())
        )
    except (OSError, ValueError):
        return False


def list_needed_kinds(graph: str, kinds: Collection[str] = ()) -> list[str]:
    """List how the files of `graph` are named that the engines read which can run here, and `kinds`, wanted besides."""
    needed = {ENGINES[name].files for name in find_installed_engines()} - {""} | {WHOLE, *kinds}
    # What runs on a GPU makes whole pictures: there, more sessions are worth more than less work.
    return [WHOLE] if graph == FACE_GRAPH else sorted(needed)


def graph_files(folder: Path, sizes: Sizes, generator: str = WHOLE) -> dict[str, Path]:
    """The files of a runtime's graphs that run on processors, by graph; `generator` names those of the generator."""
    files = {"invert": folder / WHOLE.format("invert"), "synthesize": folder / generator.format("synthesize")}
    if sizes.face_window is not None:
        files[FACE_GRAPH] = folder / generator.format(FACE_GRAPH)
    return files | _parser_file(folder, WHOLE)


def gpu_graph_files(folder: Path, kind: str) -> dict[str, Path]:
    """The files of a runtime's graphs that run on a GPU, by graph; `kind`: how those of its precision are named."""
    return {name: folder / kind.format(name) for name in GRAPHS} | _parser_file(folder, kind)


def _parser_file(folder: Path, kind: str) -> dict[str, Path]:
    """The face parser's, where it was exported."""
    path = folder / kind.format(PARSE_GRAPH)
    return {PARSE_GRAPH: path} if path.is_file() else {}


def network_hash(path: Path) -> str:
    """SHA-256 of the network in the ONNX file `path`: of the file, and of what weights beside it are recorded under."""
    digest = hashlib.sha256(path.read_bytes())
    if any((path.parent / name).is_file() for name in DATA.values()):
        digest.update(json.loads((path.parent / RECORD).read_text("utf-8"))["weights"].encode())
    return digest.hexdigest()


def write_record(folder: Path, weights: str) -> None:
    """Write `export.json`: what the files in `folder` were made from, and how large they are."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    (folder / RECORD).write_text(json.dumps({"weights": weights, "sizes": sizes}, indent=1), "utf-8")


def replace_files(scratch: Path, folder: Path) -> None:
    """Replace the files in `folder` by those in `scratch`; at no moment does `export.json` speak of other files."""
    folder.mkdir(exist_ok=True)
    (folder / RECORD).unlink(missing_ok=True)
    made = sorted(path for path in scratch.iterdir() if path.name != RECORD)
    for path in made:
        path.replace(folder / path.name)
    for path in {path for path in folder.iterdir() if path.is_file()} - {folder / path.name for path in made}:
        path.unlink()
    (scratch / RECORD).replace(folder / RECORD)
