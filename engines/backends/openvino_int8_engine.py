"""OpenVINO with the generator's wide pointwise convolutions in int8; the rest as `openvino` computes it."""

from __future__ import annotations

from pathlib import Path

from engines.backends.openvino_engine import OpenVinoRuntime, open_all
from engines.exports import graph_files, has_int8
from engines.graph_runtime import EngineError, EngineOptions, GraphRuntime
from rigid.models.contract import Sizes

NAME = "openvino-int8"


def open_graphs(folder: Path, sizes: Sizes, options: EngineOptions) -> GraphRuntime:
    """The networks exported to `folder`; EngineError where int8 was not made."""
    if not has_int8(folder):
        raise EngineError(
            f"The networks in {folder} have no int8 export; run `rigid-live export --precision int8` or choose "
            "another engine."
        )
    files = graph_files(folder, sizes, generator="{}.int8.onnx")
    return OpenVinoRuntime(NAME, sizes, open_all(files, options), options)
