"""What a graph asks of a machine: arithmetic and traffic of its convolutions and products, and the time bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rigid.models.openvino_core import get_shared_core

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
    model = get_shared_core().read_model(path)
    # The batch is all that is left open in a graph.
    model.reshape({port: [batch, *list(port.partial_shape)[1:]] for port in model.inputs})
    layers = []
    for operation in model.get_ordered_ops():
        count = FLOPS.get(operation.get_type_name())
        if count is not None:
            given, weight = (tuple(operation.input_value(i).shape) for i in range(2))
            out = tuple(operation.output(0).shape)
            elements = sum(math.prod(shape) for shape in (given, weight, out))
            layers.append(
                Layer(operation.friendly_name.removesuffix("/WithoutBiases"), count(given, weight, out), elements)
            )
    return layers


def find_least_seconds(layers: Sequence[Layer], machine: Machine) -> float:
    """Find the roofline: no layer is done sooner than its arithmetic, nor than its traffic where no cache helps."""
    return sum(
        max(layer.flops / machine.flops, layer.elements * machine.element_bytes / machine.bandwidth) for layer in layers
    )


def _count_convolution(given: Shape, weight: Shape, out: Shape) -> float:
    return 2.0 * math.prod(out) * math.prod(weight[1:])


def _count_transposed(given: Shape, weight: Shape, out: Shape) -> float:
    return 2.0 * math.prod(given) * math.prod(weight[1:])


def _count_product(given: Shape, weight: Shape, out: Shape) -> float:
    """Every output is a sum over as many products as a row of the first factor holds."""
    return 2.0 * math.prod(out) * given[-1]


FLOPS = {
    "Convolution": _count_convolution,
    "GroupConvolution": lambda given, weight, out: _count_convolution(given, weight[1:], out),
    "ConvolutionBackpropData": _count_transposed,
    "MatMul": _count_product,
}
