"""Int8: which layers, how close, and that making channels alike changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.operators import find_unsupported
from export.quantize import measure_ranges, quantisable, quantise_layers
from rigid.arrays import Array

RANDOM = np.random.default_rng(0)
FEED = {"x": (RANDOM.standard_normal((2, 64, 8, 8)) * np.linspace(0.01, 9, 64)[:, None, None]).astype(np.float32)}


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RANDOM.standard_normal(shape).astype(np.float32), name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A depthwise convolution with a pointwise one behind it, then a pointwise one by itself and a narrow one."""
    nodes = [
        helper.make_node("Conv", ["x", "d"], ["a"], "depthwise", group=64, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "wide"], ["b"], "first"),
        helper.make_node("LeakyRelu", ["b"], ["c"], "leak", alpha=0.2),
        helper.make_node("Conv", ["c", "alone"], ["e"], "second"),
        helper.make_node("Conv", ["e", "narrow"], ["y"], "third"),
    ]
    weights = [weight("d", 64, 1, 3, 3), weight("wide", 96, 64, 1, 1), weight("alone", 64, 96, 1, 1)]
    weights.append(weight("narrow", 12, 64, 1, 1))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64, 8, 8])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 12, 8, 8])
    graph = helper.make_graph(nodes, "g", [given], [out], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def run(model: onnx.ModelProto) -> Array:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: Array = session.run(None, FEED)[0]
    return found


def test_only_wide_pointwise_convolutions_are_quantised(path: Path) -> None:
    assert [node.name for node in quantisable(onnx.load(path))] == ["first", "second"]


def test_what_makes_scales_of_a_code_is_not(path: Path) -> None:
    model = onnx.load(path)
    model.graph.value_info.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, ["batch", 96, 1, 1]))
    assert [node.name for node in quantisable(model)] == ["first"]


def test_ranges_are_those_of_the_inputs(path: Path) -> None:
    ranges = measure_ranges(path, [FEED, {"x": 0.1 * FEED["x"]}])
    assert {name: values.shape for name, values in ranges.items()} == {"wide": (64,), "alone": (96,)}
    assert ranges["wide"][-1] > 100 * ranges["wide"][0] > 0


def test_int8_is_close_and_what_an_engine_takes(path: Path, tmp_path: Path) -> None:
    model, ranges = onnx.load(path), measure_ranges(path, [FEED])
    result = quantise_layers(model, ranges)
    onnx.checker.check_model(result, full_check=True)
    onnx.save(result, tmp_path / "int8.onnx")
    assert not find_unsupported(tmp_path / "int8.onnx")
    kinds = [node.op_type for node in result.graph.node]
    assert kinds.count("QuantizeLinear") == 2 and kinds.count("DequantizeLinear") == 4
    stored = {weight.name: weight.data_type for weight in result.graph.initializer}
    assert stored["wide"] == stored["alone"] == TensorProto.INT8 and stored["narrow"] == TensorProto.FLOAT
    expected, found = run(model), run(result)
    error = np.square(found - expected).mean() / np.square(expected).mean()
    assert 0 < error < 2e-3
    assert np.array_equal(run(model), expected), "the model itself was changed"


def test_making_channels_alike_changes_nothing_and_helps(path: Path) -> None:
    model, ranges = onnx.load(path), measure_ranges(path, [FEED])
    only = {"wide": ranges["wide"]}
    level = {"wide": np.full(64, ranges["wide"].max(), np.float32)}
    expected = run(model)
    alike, unlike = (np.square(run(quantise_layers(model, chosen)) - expected).mean() for chosen in (only, level))
    assert alike < unlike


def test_ranges_of_other_networks_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="no layer levels.9.weight to quantise"):
        quantise_layers(onnx.load(path), {"levels.9.weight": np.ones(64, np.float32)})
