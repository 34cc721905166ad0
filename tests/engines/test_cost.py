"""What a graph costs, counted by hand; what bounds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.cost import Layer, Machine, find_least_seconds, read_layers
from engines.peak import measure_peak
from server.bench.bounds import bounds_of
from tests.networks import export_once

pytestmark = pytest.mark.slow


def test_a_convolution_and_a_product_counted_by_hand(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((8, 2, 3, 3), np.float32), "w")
    matrix = numpy_helper.from_array(np.ones((8, 5), np.float32), "m")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", group=2, pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["y"], "gemm"),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 6, 7])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])
    graph = helper.make_graph(nodes, "g", [given], [out], [weight, matrix])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]), tmp_path / "m.onnx")
    conv, gemm = read_layers(tmp_path / "m.onnx", 3)
    assert conv == Layer("conv", 2 * 3 * 8 * 6 * 7 * 2 * 9, 3 * 4 * 42 + 8 * 2 * 9 + 3 * 8 * 42)
    assert gemm == Layer("gemm", 2 * 3 * 5 * 8, 3 * 8 + 8 * 5 + 3 * 5)


def test_the_bound_is_the_slower_of_arithmetic_and_traffic() -> None:
    layers = [Layer("heavy", 100.0, 1.0), Layer("wide", 1.0, 100.0)]
    assert find_least_seconds(layers, Machine(flops=10.0, bandwidth=20.0, element_bytes=2)) == 10.0 + 10.0


@pytest.mark.parametrize("batch", [1, 4])
def test_every_layer_of_an_export_is_counted(batch: int) -> None:
    folder = export_once(recurrent=True)
    for name in ("invert", "synthesize", "synthesize_face", "parse"):
        heavy = [n for n in onnx.load(folder / f"{name}.onnx").graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
        layers, single = read_layers(folder / f"{name}.onnx", batch), read_layers(folder / f"{name}.onnx", 1)
        assert len(layers) == len(heavy) and all(layer.flops > 0 for layer in layers)
        assert sum(layer.flops for layer in layers) == pytest.approx(batch * sum(layer.flops for layer in single))


def test_peaks_and_bounds_are_told() -> None:
    peak = measure_peak(side=64, copy_bytes=2**16)
    assert set(peak.flops) == {"f32", "bf16"} and min(*peak.flops.values(), peak.bandwidth) > 0
    bounds = bounds_of(export_once(recurrent=True), peak)
    assert set(bounds) == {"peak", "invert", "synthesize", "synthesize_face", "parse"}
    assert set(bounds["invert"]) == {"gflop", "mb_f32", "bound_ms"}  # type: ignore[call-overload]
