"""The weights that the graphs in `rigid/graphs` are filled with: which there are, and the file that holds them all."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from rigid.assets.store import AssetError, AssetStore
from rigid.models.fetched import State
from rigid.models.profiles import (
    WITHOUT_PARSER,
    existing_parser,
    existing_weights,
    has_recurrent_encoder,
    parser_file,
    unfit_weights,
)
from rigid.models.weights import TUNED_PARTS, fold_batch_norms, order_generator, read_generator, read_weights

logger = logging.getLogger(__name__)
GRAPHS = Path(__file__).parent.parent / "graphs"
INDEX = "weights.json"
ALIGNMENT = 64
"""Every weight begins at a multiple of so many bytes."""
Index = dict[str, dict[str, tuple[int, ...]]]
"""By network, the shape of each of its weights by name."""


def graphs_folder(profile: str) -> Path | None:
    """The folder of the profile's graphs, whose weights lie elsewhere; None where it has none."""
    folder = GRAPHS / profile
    return folder if (folder / INDEX).is_file() else None


def read_index(folder: Path) -> Index:
    """What the graphs in `folder` want to be filled with."""
    index = json.loads((folder / INDEX).read_text("utf-8"))
    return {network: {name: tuple(shape) for name, shape in named.items()} for network, named in index.items()}


def lay_out(index: Index, width: int) -> Iterator[tuple[str, str, int, int]]:
    """Network, name, first byte and length of every weight in the one file, of numbers that are `width` bytes wide."""
    offset = 0
    for network, named in index.items():
        for name, shape in named.items():
            length = width * math.prod(shape)
            yield network, name, offset, length
            offset += math.ceil(length / ALIGNMENT) * ALIGNMENT


def read_networks(profile: str, store: AssetStore) -> dict[str, State]:
    """The weights of the profile's networks, as its graphs have them, by network.

    A recurrent encoder that is missing and a face parser that cannot be had are left out, the latter with a warning.
    AssetError where another is missing or does not fit.
    """
    index = _index_of(profile)
    whole = order_generator(read_generator(profile, store))
    found = {"generator": _fit(whole, index["generator"], existing_weights(profile, "generator"))}
    for network in ("image_encoder", *(["recurrent_encoder"] if has_recurrent_encoder(profile) else [])):
        found[network] = _read_own(profile, network, index)
    try:
        found["face_parser"] = _read_own(profile, "face_parser", index)
    except AssetError as error:
        logger.warning("%s Without it, %s.", error, WITHOUT_PARSER)
    return found


def check_weights(profile: str) -> list[str]:
    """A sentence for each network of the profile whose own weights are missing or do not fit; fetches nothing.

    Not of those a stream can do without, where they are missing: `rigid.models.profiles.optional_networks` tells them.
    """
    if graphs_folder(profile) is None:
        from rigid.models.build import check_imported

        return check_imported(profile)
    index, problems = _index_of(profile), []
    missing = {
        "recurrent_encoder": not has_recurrent_encoder(profile),
        "face_parser": not parser_file().is_file(),
    }
    for network in [network for network in index if not missing.get(network)]:
        try:
            _read_own(profile, network, index)
        except AssetError as error:
            problems.append(str(error))
    return problems


def _index_of(profile: str) -> Index:
    folder = graphs_folder(profile)
    assert folder is not None
    return read_index(folder)


def _read_own(profile: str, network: str, index: Index) -> State:
    """What this project trained of a network, as the graphs have it."""
    path = existing_parser() if network == "face_parser" else existing_weights(profile, network)
    shapes = index[network]
    weights = read_weights(path)
    if network == "generator":
        shapes = {name: shape for name, shape in shapes.items() if name.startswith(TUNED_PARTS)}
    try:
        return _fit(order_generator(weights) if network == "generator" else fold_batch_norms(weights), shapes, path)
    except (KeyError, ValueError) as error:
        raise unfit_weights(path) from error


def _fit(weights: State, shapes: Mapping[str, tuple[int, ...]], path: Path) -> State:
    if {name: value.shape for name, value in weights.items()} != shapes:
        raise unfit_weights(path)
    return weights
