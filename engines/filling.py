"""Gives the graphs that come with the program their weights, so that engines can run them."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from engines.exports import (
    DATA,
    HALF,
    WHOLE,
    export_folder,
    is_current,
    list_needed_kinds,
    replace_files,
    weights_hash,
    write_record,
)
from engines.graph_runtime import FACE_GRAPH, PARSE_GRAPH, EngineError
from rigid.arrays import Array
from rigid.assets.store import AssetStore, explain_cache
from rigid.models.fetched import State
from rigid.models.graph_weights import graphs_folder, lay_out, read_index, read_networks

WIDTHS = {WHOLE: 4, HALF: 2}
ALONE = "invert_alone"
"""`invert` without a recurrent encoder."""


def require_exports(profile: str, store: AssetStore, *, force: bool = False, kinds: Collection[str] = ()) -> Path:
    """The folder of the profile's networks, whose graphs are filled where they are missing or of other weights.

    One process at a time fills them; the others wait and use what it made. `force` fills them anew; `kinds`: see
    `list_needed_kinds`. EngineError for a profile that comes without graphs and was not exported, AssetError where
    weights are missing or the cache has no room.
    """
    folder, weights = export_folder(profile, store), weights_hash(profile, store)
    graphs = graphs_folder(profile)
    if is_current(folder, weights, kinds) and not force:
        return folder
    if graphs is None:
        message = f"The exported networks of {profile} are missing or out of date"
        raise EngineError(f"{message}; run `rigid-live export --profile {profile}`.")
    networks = read_networks(profile, store)
    with explain_cache(store.cache_dir):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if force or not is_current(folder, weights, kinds):
                _fill_anew(graphs, networks, folder, weights, kinds)
    return folder


def _fill_anew(graphs: Path, networks: Mapping[str, State], folder: Path, weights: str, kinds: Collection[str]) -> None:
    scratch = folder.with_suffix(".part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        fill(graphs, networks, scratch, kinds)
        write_record(scratch, weights)
        replace_files(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fill(graphs: Path, networks: Mapping[str, State], folder: Path, kinds: Collection[str] = ()) -> None:
    """Write the graphs in `graphs` to `folder`, which is made, with the weights of `networks`.

    `kinds`: see `list_needed_kinds`.
    """
    folder.mkdir(parents=True)
    names = {"invert": "invert" if "recurrent_encoder" in networks else ALONE}
    names |= {graph: graph for graph in ("synthesize", FACE_GRAPH)}
    names |= {PARSE_GRAPH: PARSE_GRAPH} if "face_parser" in networks else {}
    files = {(name, kind) for name in names for kind in list_needed_kinds(name, kinds)}
    for name, kind in sorted(files):
        shutil.copyfile(graphs / kind.format(names[name]), folder / kind.format(name))
    for kind in {kind for _, kind in files}:
        _write_weights(graphs, networks, folder / DATA[kind], WIDTHS[kind])


def _write_weights(graphs: Path, networks: Mapping[str, State], path: Path, width: int) -> None:
    """All weights where the graphs look for them; those of a network that is not there are left out."""
    with path.open("wb") as file:
        for network, name, offset, _ in lay_out(read_index(graphs), width):
            if network in networks:
                value = networks[network][name]
                file.seek(offset)
                file.write(np.ascontiguousarray(value if width == 4 else to_bfloat16(value)).data)


def to_bfloat16(value: Array) -> NDArray[np.uint16]:
    """The bits of finite numbers in bfloat16, rounded to the nearest, ties to even."""
    bits: NDArray[Any] = np.ascontiguousarray(value).view(np.uint32)
    rounded: NDArray[np.uint16] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return rounded
