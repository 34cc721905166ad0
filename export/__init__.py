"""Weights → ONNX files that the engines run. Every file is run and compared with its networks before it counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from engines import EngineError, Precision
from engines.files import export_folder, is_current, needed_files, weights_hash
from export.compare import PRECISIONS, Difference, compare, table
from export.networks import Networks, build_networks, exportables, in_bfloat16
from export.onnx_file import OPSET, write_onnx
from export.operators import unsupported
from rigid.assets import AssetStore

__all__ = ["ExportError", "ensure_exported", "export_networks"]

Report = Callable[[str], None]
"""Takes one line of what is being done."""

COMPARISON_SEED = 2023
"""Other inputs than those the graphs are traced with."""


class ExportError(EngineError):
    """An exported network does not compute what it was made from."""


def ensure_exported(profile: str, store: AssetStore, progress: Report | None = None, *, force: bool = False) -> Path:
    """The folder of the profile's `invert.onnx` and `synthesize.onnx`, made where they are missing or out of date.

    One process at a time exports; the others wait and use what it made. `force` exports anew. Raises
    ExportError, with the table of differences, when a file does not agree with eager PyTorch; what was there
    before then stays.
    """
    report = progress or (lambda line: None)
    folder = export_folder(profile, store)
    weights = weights_hash(profile, store)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if force or not is_current(folder, weights):
            report(f"Exporting the networks of {profile}")
            scratch = folder.with_suffix(".part")
            shutil.rmtree(scratch, ignore_errors=True)
            try:
                report(table(export_networks(build_networks(profile, store), scratch, weights)))
                _move(scratch, folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return folder


def export_networks(
    networks: Networks, folder: Path, weights: str, precisions: Sequence[Precision] = PRECISIONS
) -> Sequence[Difference]:
    """Write `networks` to `folder`, run the files and compare; `weights`: the hash they are recorded under.

    ExportError where an operator is not standard, or an engine too far off in float32. Half precision is told in what
    comes back, and fails `rigid-live bench export`: with random codes it can pass its bound by chance, and a server
    must start all the same.
    """
    folder.mkdir(parents=True)
    for exportable in exportables(networks):
        for kind in ("{}.onnx", "{}.bf16.onnx"):
            path = folder / kind.format(exportable.name)
            if path.name in needed_files():
                write_onnx(exportable if kind == "{}.onnx" else in_bfloat16(exportable), path)
                if problems := unsupported(path):
                    raise ExportError(f"TensorRT could not read {path.name}: {'; '.join(problems[:3])}.")
    differences = compare(networks, folder, COMPARISON_SEED, precisions)
    if not all(difference.passed for difference in differences if difference.precision == "f32"):
        raise ExportError(f"The exported networks do not agree with PyTorch and are not used:\n{table(differences)}")
    write_record(folder, weights)
    return differences


def write_record(folder: Path, weights: str) -> None:
    """Write `export.json`: what the files in `folder` were made from, and how large they are."""
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.onnx")}
    record = {"weights": weights, "opset": OPSET, "sizes": sizes}
    (folder / "export.json").write_text(json.dumps(record, indent=1), "utf-8")


def _move(scratch: Path, folder: Path) -> None:
    """Replace the files in `folder` by those in `scratch`; at no moment does `export.json` speak of other files."""
    folder.mkdir(exist_ok=True)
    (folder / "export.json").unlink(missing_ok=True)
    for path in sorted(scratch.glob("*.onnx")):
        path.replace(folder / path.name)
    (scratch / "export.json").replace(folder / "export.json")
