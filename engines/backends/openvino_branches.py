"""A network as two that need nothing of each other, and a third that joins what they give.

The two encoders of `invert` are such: the image encoder sees this frame alone, the recurrent one the frame before as
well, and only their codes are added. On a core each, neither waits for another core at every layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal, NamedTuple

import openvino
from openvino import opset13

LEAST_SHARE = 0.5
"""The least work of the lighter branch, in that of the heavier: two cores at one network do 1.4 times what one does,
so that a much heavier branch would take longer alone."""
MULTIPLYING = ("Convolution", "GroupConvolution", "MatMul")
Side = Literal["constant", "input", "first", "second", "joining"]


class Branches(NamedTuple):
    """A network in parts: two that can run at the same time, and what comes after both."""

    first: openvino.Model
    second: openvino.Model
    joining: openvino.Model
    """It takes what both give, by name, and gives what is left of the network's outputs."""


def find_branches(model: openvino.Model, alone: str, least_share: float = LEAST_SHARE) -> Branches | None:
    """`model`, whose shapes are known, as what sees its input `alone` only, what needs none of that, and the rest.

    None where there are no two such parts, or one does less than `least_share` of the other. `model` is used up.
    """
    sides = _find_sides(model, alone)
    first, second, joining = ([op for op in model.get_ordered_ops() if sides[op.get_name()] == side] for side in PARTS)
    light, heavy = sorted(sum(map(_count_products, part)) for part in (first, second))
    if not light or light < least_share * heavy:
        return None
    ends = [_find_ends(part, sides) for part in (first, second)]
    for number, output in enumerate(one for part in ends for one in part):
        if not any(_is_result(taker.get_node()) for taker in output.get_target_inputs()):
            output.set_names({f"branch-end-{number}"})
    one, other = (openvino.Model(part, _find_parameters(model, part)).clone() for part in ends)
    return Branches(one, other, _cut_off(model, joining, sides))


PARTS: Sequence[Side] = ("first", "second", "joining")


def _find_sides(model: openvino.Model, alone: str) -> Mapping[str, Side]:
    """Which part each operation belongs to, by its name."""
    sides: dict[str, Side] = {}
    seen: dict[str, frozenset[str]] = {}
    for op in model.get_ordered_ops():
        name, sources = op.get_name(), [value.get_node().get_name() for value in op.input_values()]
        is_input = op.get_type_name() == "Parameter"
        own = frozenset({op.output(0).get_any_name()}) if is_input else frozenset[str]()
        seen[name] = own.union(*(seen[source] for source in sources))
        if is_input or not seen[name]:
            sides[name] = "input" if is_input else "constant"
        else:
            sides[name] = _find_side({sides[source] for source in sources}, alone=seen[name] == {alone})
    return sides


def _find_side(sources: set[Side], *, alone: bool) -> Side:
    """The part of an operation on what is of `sources`; `alone`: whether it sees the first part's input only."""
    if "joining" in sources or {"first", "second"} <= sources or ("first" in sources and not alone):
        return "joining"
    return "first" if alone else "second"


def _count_products(op: openvino.Node) -> float:
    """How many numbers an operation multiplies, for convolutions and matrices."""
    if op.get_type_name() not in MULTIPLYING:
        return 0.0
    weights, result = op.input_value(1).get_shape(), list(op.output(0).get_shape())
    channels = result[-1] if op.get_type_name() == "MatMul" else result[1]
    return float(prod(result) * prod(weights) / channels)


def _find_ends(part: Sequence[openvino.Node], sides: Mapping[str, Side]) -> list[openvino.Output]:
    """What a part gives: to the one that joins, or as an output of the network."""
    return [
        output
        for op in part
        if not _is_result(op)
        for output in op.outputs()
        if any(
            _is_result(taker.get_node()) or sides[taker.get_node().get_name()] == "joining"
            for taker in output.get_target_inputs()
        )
    ]


def _is_result(op: openvino.Node) -> bool:
    return bool(op.get_type_name() == "Result")


def _find_parameters(model: openvino.Model, ends: Sequence[openvino.Output]) -> list[openvino.Node]:
    """The inputs of `model` that `ends` are made of."""
    found, left = set[str](), [end.get_node() for end in ends]
    while left:
        op = left.pop()
        if op.get_name() not in found:
            found.add(op.get_name())
            left += [value.get_node() for value in op.input_values()]
    return [parameter for parameter in model.get_parameters() if parameter.get_name() in found]


def _cut_off(model: openvino.Model, joining: Sequence[openvino.Node], sides: Mapping[str, Side]) -> openvino.Model:
    """What joins both parts, with inputs in their place."""
    parameters: dict[str, openvino.Node] = {}
    for op in joining:
        for port in op.inputs():
            source = port.get_source_output()
            if sides[source.get_node().get_name()] in ("constant", "joining"):
                continue
            name = source.get_any_name()
            if name not in parameters:
                parameters[name] = opset13.parameter(source.get_shape(), source.get_element_type(), name)
                parameters[name].output(0).set_names({name})
            port.replace_source_output(parameters[name].output(0))
    results = [op for op in joining if _is_result(op)]
    return openvino.Model(results, list(parameters.values()))
