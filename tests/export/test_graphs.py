"""The graphs in `rigid/graphs` are what PyTorch exports of the networks as they are now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from engines.exports import HALF, WHOLE, weights_hash
from export.graphs import index_of, strip, write_graphs
from export.networks import Exportable, build_networks
from export.onnx_file import OPSET
from rigid.assets.store import AssetStore
from rigid.models.graph_weights import GRAPHS, INDEX
from tests.networks import keep
from tests.patience import ALL

PROFILE = "mobile-256"


@pytest.mark.slow
def test_the_graphs_are_those_of_the_networks(store: AssetStore) -> None:
    """Where this fails after a network was changed, `make graphs` writes them anew; put them into the same commit."""
    kinds = (WHOLE, HALF) if ALL else (WHOLE,)

    def write(folder: Path) -> None:
        folder.mkdir()
        write_graphs(build_networks(PROFILE, store), folder, kinds)

    made = keep("graphs", write, f"{weights_hash(PROFILE, store)} {kinds}")
    shipped = {path.name: path for path in (GRAPHS / PROFILE).iterdir()}
    assert (made / INDEX).read_text() == shipped[INDEX].read_text()
    for path in made.glob("*.onnx"):
        assert describe(path) == describe(shipped[path.name]), f"{path.name}: run `make graphs`"
    assert len(shipped) == 10


def describe(path: Path) -> list[str]:
    """The graph, line by line."""
    return onnx.printer.to_text(onnx.load(path, load_external_data=False)).splitlines()


def test_a_graph_tells_nothing_of_where_it_was_made_and_holds_no_weights() -> None:
    for path in (GRAPHS / PROFILE).glob("*.onnx"):
        content = path.read_bytes()
        assert len(content) < 100_000 and b'.py", line' not in content and b"/home" not in content
        assert onnx.load(path, load_external_data=False).opset_import[0].version == OPSET


class Scaled(nn.Module):
    """A weight that the graph holds as it is, and one that it holds in another form."""

    def __init__(self, *, folded: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(24.0).reshape(4, 6))
        self.folded = folded

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (2 * self.weight if self.folded else self.weight)


@pytest.mark.slow
def test_weights_move_out_and_what_was_made_of_them_is_refused() -> None:
    for folded in (False, True):
        module = Scaled(folded=folded).eval().requires_grad_(False)
        exportable = Exportable("parse", module, {"pictures": torch.zeros(2, 4)}, ("probabilities",))
        index = index_of([exportable])
        assert index == {"face_parser": {"weight": (4, 6)}}
        if folded:
            with pytest.raises(ValueError, match="is no weight of the network"):
                strip(exportable, index, WHOLE)
            continue
        (constant,) = strip(exportable, index, WHOLE).graph.initializer
        found = {entry.key: entry.value for entry in constant.external_data}
        assert found == {"location": "weights.bin", "offset": "0", "length": "96"} and not constant.raw_data


@pytest.mark.slow
def test_weights_that_are_alike_cannot_be_told_apart() -> None:
    layers = [nn.Linear(3, 3, bias=False) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    module = nn.Sequential(*layers).requires_grad_(False)
    exportable = Exportable("parse", module, {"pictures": torch.from_numpy(np.zeros((2, 3), np.float32))}, ("y",))
    with pytest.raises(ValueError, match="like another weight"):
        strip(exportable, index_of([exportable]), WHOLE)
