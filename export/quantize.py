"""Int8 after training: pointwise convolutions of the generator take and weigh 8-bit numbers, the rest stays as it is.

Pointwise convolutions do nearly all of the generator's arithmetic, at the limit of what a processor computes in
bfloat16; in 8 bits it computes twice as much. Quantised are a layer's input, symmetrically with one scale, and its
weights, with a scale for every output. Standard QuantizeLinear and DequantizeLinear pairs say so, with a zero point of
zero, which engines, TensorRT's too, turn into 8-bit kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from rigid.arrays import Array

LEVELS = 127
"""Largest magnitude; -128 is left out so that the range is symmetric."""
FEWEST_CHANNELS = 64
"""Narrower inputs and outputs, such as a head's bands, gain nothing and lose the most."""
KEPT = 0.9999
"""Share of an input's values that its range holds; what lies beyond is clipped."""
MOST_SEEN = 64
"""Positions along a side from which a range is taken; more say nothing new, and take most of the time."""
Ranges = Mapping[str, Array]
"""Largest magnitude of every channel of a layer's input, by the name of the layer's weight."""


def quantisable(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The pointwise convolutions of pictures in `model` that are wide enough, in the order they run.

    Those of one place only make scales of a code: they cost nothing, and all that comes after would have their error.
    """
    weights = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
    single = {value.name for value in model.graph.value_info if _is_one_place(value)}
    found = []
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights and node.input[0] not in single:
            c_out, c_in, height, width = weights[node.input[1]]
            grouped = any(attribute.name == "group" and attribute.i != 1 for attribute in node.attribute)
            if (height, width) == (1, 1) and not grouped and min(c_in, c_out) >= FEWEST_CHANNELS:
                found.append(node)
    return found


def _is_one_place(value: onnx.ValueInfoProto) -> bool:
    shape = value.type.tensor_type.shape.dim
    return len(shape) == 4 and [side.dim_value for side in shape[2:]] == [1, 1]


def measure_ranges(path: Path, feeds: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """How large the inputs of the quantisable layers of the ONNX file `path` become on `feeds`."""
    model = onnx.load(path)
    nodes = quantisable(model)
    for node in nodes:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.input[0]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [node.input[0] for node in nodes]
    largest: dict[str, Array] = {}
    for feed in feeds:
        for node, value in zip(nodes, session.run(names, dict(feed)), strict=True):
            step = max(1, value.shape[-1] // MOST_SEEN)
            seen = np.abs(value[..., ::step, ::step])
            magnitude = np.quantile(seen, KEPT, (0, 2, 3)).astype(np.float32)
            name = node.input[1]
            largest[name] = np.maximum(largest[name], magnitude) if name in largest else magnitude
    return largest


def quantise_layers(model: onnx.ModelProto, ranges: Ranges) -> onnx.ModelProto:
    """Make a copy of `model` whose layers named in `ranges` compute in int8; ValueError for one that it has not."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes = {node.input[1]: node for node in quantisable(result)}
    if missing := set(ranges) - set(nodes):
        raise ValueError(f"The network has no layer {min(missing)} to quantise; calibrate it anew.")
    before = {nodes[name].name: _quantise(result.graph, nodes[name], magnitudes) for name, magnitudes in ranges.items()}
    ordered = [other for node in result.graph.node for other in (*before.get(node.name, ()), node)]
    del result.graph.node[:]
    result.graph.node.extend(ordered)
    return result


def _quantise(graph: onnx.GraphProto, node: onnx.NodeProto, magnitudes: Array) -> list[onnx.NodeProto]:
    """Make `node` take integers; the nodes that are to come before it."""
    given, name = node.input[:2]
    weights = {weight.name: weight for weight in graph.initializer}
    array, magnitudes = _equalise(graph, given, numpy_helper.to_array(weights[name]), np.maximum(magnitudes, 1e-9))
    scales = np.maximum(np.abs(array).max((1, 2, 3)), 1e-12).astype(np.float32) / np.float32(LEVELS)
    levels = np.rint(array / scales[:, None, None, None]).astype(np.int8)
    weights[name].CopyFrom(numpy_helper.from_array(levels, name))
    zero = _constant(graph, f"{name}.zero", np.array(0, np.int8))
    of_input = _constant(graph, f"{name}.input_scale", np.array(magnitudes.max() / LEVELS, np.float32))
    of_weight = _constant(graph, f"{name}.scale", scales)
    zeros = _constant(graph, f"{name}.zeros", np.zeros(len(scales), np.int8))
    out, make = f"{name}.input", onnx.helper.make_node
    node.input[0], node.input[1] = out, f"{name}.whole"
    return [
        make("QuantizeLinear", [given, of_input, zero], [f"{out}.levels"], f"{name}.quantize"),
        make("DequantizeLinear", [f"{out}.levels", of_input, zero], [out], f"{name}.dequantize"),
        make("DequantizeLinear", [name, of_weight, zeros], [f"{name}.whole"], f"{name}.weigh", axis=0),
    ]


def _equalise(graph: onnx.GraphProto, given: str, array: Array, magnitudes: Array) -> tuple[Array, Array]:
    """The weight and the magnitudes once the channels of the layer's input are made alike, where that is free.

    One scale serves all channels of an input, and small ones would have few levels left. Behind a depthwise
    convolution, a channel can be scaled down in that one's weights and up in this one's: the function stays the same.
    """
    makers = [node for node in graph.node if given in node.output]
    users = [node for node in graph.node if given in node.input]
    weights = {weight.name: weight for weight in graph.initializer}
    if not makers or makers[0].op_type != "Conv" or len(users) != 1:
        return array, magnitudes
    depthwise = numpy_helper.to_array(weights[makers[0].input[1]])
    if depthwise.shape[1] != 1 or len(makers[0].input) != 2:
        return array, magnitudes
    factors = np.sqrt(magnitudes / np.maximum(np.abs(array).max((0, 2, 3)), 1e-9)).astype(np.float32)
    factors /= factors.mean()
    scaled = (depthwise / factors[:, None, None, None]).astype(np.float32)
    weights[makers[0].input[1]].CopyFrom(numpy_helper.from_array(scaled, makers[0].input[1]))
    return array * factors[None, :, None, None], magnitudes / factors


def _constant(graph: onnx.GraphProto, name: str, value: NDArray[np.generic]) -> str:
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name
