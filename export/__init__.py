"""Weights → ONNX files that the engines run. Every file is run and compared with its networks before it counts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from engines import EngineError, Precision
from engines.exports import (
    HALF,
    INT8_FILES,
    INT8_RECORD,
    export_folder,
    has_int8,
    is_current,
    list_needed_kinds,
    replace_files,
    weights_hash,
    write_record,
)
from engines.filling import require_exports
from export.calibration import FaceSource
from export.compare import PRECISIONS, Difference, compare, table
from export.int8 import compare_int8, scan_table, write_int8
from export.networks import Networks, build_networks, exportables, in_bfloat16
from export.onnx_file import write_onnx
from export.operators import find_unsupported
from rigid.assets.store import AssetStore
from rigid.models.graph_weights import graphs_folder

__all__ = ["ExportError", "ensure_exported", "ensure_int8", "export_networks"]

Report = Callable[[str], None]
"""Takes one line of what is being done."""


class Export(Protocol):
    """Exports networks: `export_networks` of some."""

    def __call__(self, folder: Path, weights: str, *, kinds: Collection[str]) -> Collection[Difference]: ...


COMPARISON_SEED = 2023
"""Other inputs than those the graphs are traced with."""


class ExportError(EngineError):
    """An exported network does not compute what it was made from."""


def ensure_exported(
    profile: str,
    store: AssetStore,
    progress: Report | None = None,
    *,
    force: bool = False,
    kinds: Collection[str] = (),
    export: Export | None = None,
) -> Path:
    """The folder of the profile's `invert.onnx` and `synthesize.onnx`, made where they are missing or out of date.

    Of a profile that comes with its graphs, those are filled. Else one process at a time exports; the others wait and
    use what it made. `force` makes them anew; `kinds` of files are made besides those that are read here. `export`
    writes them to a folder, and compares them; `export_networks` of the profile's where it is not given. Raises
    ExportError, with the table of differences, when an exported file does not agree with eager PyTorch; what was there
    before then stays.
    """
    if graphs_folder(profile) is not None:
        return require_exports(profile, store, force=force, kinds=kinds)
    report = progress or (lambda line: None)
    folder = export_folder(profile, store)
    weights = weights_hash(profile, store)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if force or not is_current(folder, weights, kinds):
            report(f"Exporting the networks of {profile}")
            scratch = folder.with_suffix(".part")
            shutil.rmtree(scratch, ignore_errors=True)
            try:
                write = export or partial(export_networks, build_networks(profile, store))
                report(table(write(scratch, weights, kinds=kinds)))
                replace_files(scratch, folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return folder


def ensure_int8(
    profile: str,
    store: AssetStore,
    progress: Report | None = None,
    *,
    force: bool = False,
    kinds: Collection[str] = (),
) -> Path:
    """Do as `ensure_exported`, and make the generator in int8, compared on faces of its own.

    ExportError when it is further from float32 than the bounds allow, or no layer bears int8; none is then left.
    """
    report = progress or (lambda line: None)
    folder = ensure_exported(profile, store, progress, force=force, kinds=kinds)
    networks, source = build_networks(profile, store), FaceSource.of(profile, store)
    with FileLock(folder.with_suffix(".lock")):
        if not has_int8(folder):
            report(f"Calibrating int8 for {profile}")
            try:
                report(scan_table(write_int8(networks, source, folder, weights_hash(profile, store))))
            except ValueError as error:
                raise ExportError(str(error)) from error
        differences = compare_int8(networks, source, folder, store, COMPARISON_SEED)
        report(table(differences))
        require_close_int8(differences, folder)
    return folder


def require_close_int8(differences: Collection[Difference], folder: Path) -> None:
    """ExportError where one of `differences` is beyond its bounds; int8 in `folder` is then removed."""
    if not all(difference.passed for difference in differences):
        for name in (*INT8_FILES, INT8_RECORD):
            (folder / name).unlink(missing_ok=True)
        raise ExportError("Int8 is too far from float32 and is not used; use another precision.")


def export_networks(
    networks: Networks,
    folder: Path,
    weights: str,
    precisions: Sequence[Precision] = PRECISIONS,
    kinds: Collection[str] = (),
) -> Sequence[Difference]:
    """Write `networks` to `folder`, run the files and compare; `weights`: the hash they are recorded under.

    ExportError where an operator is not standard, or as `check_exports` raises it.
    """
    folder.mkdir(parents=True)
    for exportable in exportables(networks):
        for kind in list_needed_kinds(exportable.name, kinds):
            path = folder / kind.format(exportable.name)
            write_onnx(in_bfloat16(exportable) if kind == HALF else exportable, path)
            if problems := find_unsupported(path):
                raise ExportError(f"TensorRT could not read {path.name}: {'; '.join(problems[:3])}.")
    return check_exports(networks, folder, weights, precisions)


def check_exports(
    networks: Networks, folder: Path, weights: str, precisions: Sequence[Precision] = PRECISIONS
) -> Sequence[Difference]:
    """Compare what was exported to `folder` with `networks`, and record it under the hash `weights`.

    Raises as `require_agreement` does.
    """
    differences = compare(networks, folder, COMPARISON_SEED, precisions)
    require_agreement(differences)
    write_record(folder, weights)
    return differences


def require_agreement(differences: Collection[Difference]) -> None:
    """ExportError, with the table, where an engine is too far off in float32.

    Half precision only fails `rigid-live bench export`: with random codes it can pass its bound by chance, and a server
    must start all the same.
    """
    if not all(difference.passed for difference in differences if difference.precision == "f32"):
        raise ExportError(f"The exported networks do not agree with PyTorch and are not used:\n{table(differences)}")
