"""What a graph asks of a machine: arithmetic and traffic of its convolutions and products, and the time bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One convolution or matrix product."""

    name: str
    flops: float
    """Multiplications and additions."""
    elements: float
    """Numbers read and written: inputs, weights and outputs."""


@dataclass(frozen=True)
class Machine:
    """What a machine was measured to do at best."""

    flops: float
    """Multiplications and additions a second in a large matrix product, in the precision at hand."""
    bandwidth: float
    """Bytes a second, read and written, in a large copy."""
    element_bytes: int
    """Width of a number in the precision at hand."""


def read_layers(path: Path, batch: int) -> list[Layer]:
    """The layers of the ONNX file `path` that do nearly all its arithmetic, for a batch of `batch`."""
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            # The batch is all that is left open in a graph.
            if size.dim_param:
                size.dim_value = batch
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {value.name: _shape(value) for value in (*graph.input, *graph.output, *graph.value_info)}
    shapes |= {weight.name: tuple(weight.dims) for weight in graph.initializer}
    layers = []
    for node in graph.node:
        if node.op_type in FLOPS and all(name in shapes for name in (*node.input[:2], node.output[0])):
            given, weight, out = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
            elements = sum(math.prod(shape) for shape in (given, weight, out))
            layers.append(Layer(node.name, FLOPS[node.op_type](given, weight, out), elements))
    return layers


def find_least_seconds(layers: Sequence[Layer], machine: Machine) -> float:
    """Find the roofline: no layer is done sooner than its arithmetic, nor than its traffic where no cache helps."""
    return sum(
        max(layer.flops / machine.flops, layer.elements * machine.element_bytes / machine.bandwidth) for layer in layers
    )


def _shape(value: onnx.ValueInfoProto) -> Shape:
    return tuple(size.dim_value for size in value.type.tensor_type.shape.dim)


def _count_convolution(given: Shape, weight: Shape, out: Shape) -> float:
    return 2.0 * math.prod(out) * math.prod(weight[1:])


def _count_transposed(given: Shape, weight: Shape, out: Shape) -> float:
    return 2.0 * math.prod(given) * math.prod(weight[1:])


def _count_product(given: Shape, weight: Shape, out: Shape) -> float:
    """Every output is a sum over as many products as a row of the first factor holds."""
    return 2.0 * math.prod(out) * given[-1]


FLOPS = {
    "Conv": _count_convolution,
    "ConvTranspose": _count_transposed,
    "Gemm": _count_product,
    "MatMul": _count_product,
}
