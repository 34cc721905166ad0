"""Which operators of an ONNX file TensorRT's parser takes, checked without TensorRT.

The list is of the operators that these exports, or later ones, may come to hold, out of the support matrix that
TensorRT's ONNX parser publishes (its `docs/operators.md`), with the conditions it states for them, and one that it
does not state. Where TensorRT or TensorRT-RTX is installed, its own parser has the last word: engines are built from
the same files.
"""

from __future__ import annotations

from pathlib import Path

import onnx

# fmt: off
SUPPORTED = frozenset(
    (
        "Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
        "ConstantOfShape", "Conv", "ConvTranspose", "DepthToSpace", "DequantizeLinear", "Div", "Equal", "Erf",
        "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "Gemm", "GlobalAveragePool", "Identity",
        "InstanceNormalization", "LeakyRelu", "Less", "Log", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg",
        "Pad", "Pow", "PRelu", "QuantizeLinear", "Range", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
        "ReduceSum", "ReduceSumSquare", "ReduceL2", "Relu", "Reshape", "Resize", "Round", "Shape", "Sigmoid",
        "Slice", "Softmax", "Softplus", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh",
        "Tile", "Transpose", "Unsqueeze", "Where",
    )
)
# fmt: on
CONSTANT_INPUTS = {"Conv": (1,), "ConvTranspose": (1,), "Slice": (3,), "Squeeze": (1,), "Unsqueeze": (1,)}
"""Inputs that the parser wants as constants, by their place."""


def find_unsupported(path: Path) -> list[str]:
    """List what TensorRT's parser refuses of the ONNX file `path`, one sentence each; nothing when all is well."""
    model = onnx.load(path)
    graph = model.graph
    constant = {weight.name for weight in graph.initializer}
    narrow = {weight.name for weight in graph.initializer if weight.data_type == onnx.TensorProto.BFLOAT16}
    problems = [f"the opset {opset.domain} is not standard" for opset in model.opset_import if opset.domain]
    for node in graph.node:
        given = [node.input[i] for i in CONSTANT_INPUTS.get(node.op_type, ()) if i < len(node.input) and node.input[i]]
        if node.op_type not in SUPPORTED:
            problems.append(f"{node.name}: the operator {node.op_type} is not supported")
        elif node.op_type in ("DequantizeLinear", "QuantizeLinear") and not _zero_is_zero(graph, node):
            problems.append(f"{node.name}: a zero point other than 0 is not supported")
        elif node.op_type == "ConvTranspose" and narrow & set(node.input):
            problems.append(f"{node.name}: a transposed convolution in bfloat16 is not supported")
        elif not set(given) <= constant | _find_dequantised(graph):
            problems.append(f"{node.name}: {node.op_type} takes only constants as {', '.join(given)}")
    return problems


def _find_dequantised(graph: onnx.GraphProto) -> set[str]:
    """Weights that stand in the file as integers."""
    constant = {weight.name for weight in graph.initializer}
    return {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constant}


def _zero_is_zero(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    if len(node.input) < 3:
        return True
    points = [weight for weight in graph.initializer if weight.name == node.input[2]]
    return bool(points) and not any(onnx.numpy_helper.to_array(point).any() for point in points)
