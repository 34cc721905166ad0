"""Makes the graphs in `rigid/graphs`: exported networks without their weights, which are filled in where they run."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import Tensor

from engines.exports import DATA, HALF, WHOLE
from engines.filling import ALONE, WIDTHS
from engines.graph_runtime import FACE_GRAPH, PARSE_GRAPH
from export.networks import Exportable, Networks, exportables, in_bfloat16
from export.onnx_file import write_onnx
from rigid.models.graph_weights import INDEX, Index, lay_out

LARGEST_INSIDE = 16
"""Numbers that a constant which is no weight may have."""
NETWORKS = {"synthesize": "generator.", FACE_GRAPH: "generator.", PARSE_GRAPH: "face_parser."}
"""The network of a graph, which goes before the names of its weights; in `invert` they begin with it."""


def write_graphs(networks: Networks, folder: Path, kinds: tuple[str, ...] = (WHOLE, HALF)) -> None:
    """Write the graphs of `networks`, which have all that a profile can have, and what they are filled with.

    ValueError where a graph holds something large that is no weight of its network.
    """
    made = list(_exportables(networks))
    index = index_of(made)
    (folder / INDEX).write_text(json.dumps(index, indent=0), "utf-8")
    for exportable in made:
        for kind in [kind for kind in kinds if kind == WHOLE or exportable.name != FACE_GRAPH]:
            graph = strip(in_bfloat16(exportable) if kind == HALF else exportable, index, kind)
            (folder / kind.format(exportable.name)).write_bytes(graph.SerializeToString(deterministic=True))


def _exportables(networks: Networks) -> Iterator[Exportable]:
    yield from exportables(networks)
    alone = exportables(replace(networks, recurrent_encoder=None))
    yield from (replace(exportable, name=ALONE) for exportable in alone if exportable.name == "invert")


def index_of(made: list[Exportable]) -> Index:
    """The shapes of all weights by network and name."""
    index: Index = {}
    for exportable in made:
        for name, value in exportable.module.state_dict().items():
            network, _, weight = _full_name(exportable, name).partition(".")
            if value.is_floating_point():
                index.setdefault(network, {})[weight] = tuple(value.shape)
    return index


def strip(exportable: Exportable, index: Index, kind: str) -> onnx.ModelProto:
    """Export a graph whose weights lie in another file, and which says nothing of where it was made."""
    with tempfile.TemporaryDirectory(prefix="rigid-live-") as made:
        path = Path(made) / "graph.onnx"
        write_onnx(exportable, path)
        model = onnx.load(path)
    places = {f"{network}.{name}": place for network, name, *place in lay_out(index, WIDTHS[kind])}
    names = {bits: name for name, bits in _weights(exportable)}
    for constant in model.graph.initializer:
        name = names.get(constant.raw_data)
        if name is not None:
            _move_out(constant, DATA[kind], *places[name])
        elif constant.data_type != onnx.TensorProto.INT64 and math.prod(constant.dims) > LARGEST_INSIDE:
            raise ValueError(f"{exportable.name}: {constant.name} {list(constant.dims)} is no weight of the network.")
    for described in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        del described.metadata_props[:]
    model.producer_version = ""
    return model


def _weights(exportable: Exportable) -> Iterator[tuple[str, bytes]]:
    """The bytes of every weight, which tell it: names get lost where the exporter gives one another shape."""
    seen: set[bytes] = set()
    for name, value in exportable.module.state_dict().items():
        bits = _bits(value)
        if value.is_floating_point():
            if bits in seen:
                raise ValueError(
                    f"{exportable.name}: {name} is like another weight; graphs are made from trained ones."
                )
            seen.add(bits)
            yield _full_name(exportable, name), bits


def _full_name(exportable: Exportable, name: str) -> str:
    return NETWORKS.get(exportable.name, "") + name.removeprefix("module.")


def _bits(value: Tensor) -> bytes:
    return value.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _move_out(constant: onnx.TensorProto, file: str, offset: int, length: int) -> None:
    constant.ClearField("raw_data")
    constant.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", str(offset)), ("length", str(length))):
        constant.external_data.add(key=key, value=value)
