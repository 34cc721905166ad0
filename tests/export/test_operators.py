"""The static check of an ONNX file against what TensorRT's parser takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from export.networks import Exportable
from export.onnx_file import write_onnx
from export.operators import find_unsupported
from tests.networks import export_once


def model_of(
    *nodes: onnx.NodeProto, constants: dict[str, np.ndarray] | None = None, domain: str = ""
) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 4, 4]) for name in ("x", "w")]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "g", ports, [out], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 23)])


def check(folder: Path, model: onnx.ModelProto) -> list[str]:
    onnx.save(model, folder / "model.onnx")
    return find_unsupported(folder / "model.onnx")


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    assert check(tmp_path, model_of(helper.make_node("Det", ["x"], ["y"], "here"))) == [
        "here: the operator Det is not supported"
    ]


def test_a_convolution_with_a_computed_weight_is_told(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], "here")
    assert check(tmp_path, model_of(node)) == ["here: Conv takes only constants as w"]
    weight = np.ones((4, 4, 1, 1), np.float32)
    assert check(tmp_path, model_of(helper.make_node("Conv", ["x", "c"], ["y"]), constants={"c": weight})) == []


@pytest.mark.parametrize(("kind", "problems"), [(TensorProto.FLOAT, 0), (TensorProto.BFLOAT16, 1)])
def test_a_transposed_convolution_is_none_of_bfloat16(tmp_path: Path, kind: int, problems: int) -> None:
    model = model_of(helper.make_node("ConvTranspose", ["x", "c"], ["y"], "here"))
    model.graph.initializer.append(helper.make_tensor("c", kind, (4, 4, 1, 1), np.ones(16, np.float32)))
    assert len(check(tmp_path, model)) == problems


@pytest.mark.parametrize("zero", [0, 3])
def test_only_a_zero_point_of_zero_passes(tmp_path: Path, zero: int) -> None:
    constants: dict[str, np.ndarray] = {"scale": np.array(0.1, np.float32), "zero": np.array(zero, np.int8)}
    node = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"], "here")
    assert len(check(tmp_path, model_of(node, constants=constants))) == (zero != 0)


def test_a_custom_domain_is_told(tmp_path: Path) -> None:
    assert "the opset own is not standard" in check(tmp_path, model_of(domain="own"))


@pytest.mark.slow
@pytest.mark.parametrize("recurrent", [False, True])
def test_what_is_exported_passes(recurrent: bool) -> None:
    folder = export_once(recurrent=recurrent)
    assert [find_unsupported(folder / f"{name}.onnx") for name in ("invert", "synthesize", "parse")] == [[], [], []]


class Spread(nn.Module):
    """A transposed convolution whose weight, too large for the exporter to fold, is held the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 64, 3, 3))

    def forward(self, codes: Tensor) -> Tensor:
        return nn.functional.conv_transpose2d(codes, self.weight.transpose(0, 1), stride=2)


@pytest.mark.slow
def test_large_constants_are_folded_too(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    write_onnx(Exportable("large", Spread(), {"codes": torch.randn(2, 64, 6, 6)}, ("images",)), path)
    assert [node.op_type for node in onnx.load(path).graph.node] == ["ConvTranspose"]
    assert not find_unsupported(path)
