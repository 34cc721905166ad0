"""Reads the constants of an OpenVINO IR model (version 10 or later) without OpenVINO."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rigid.arrays import Array


@dataclass(frozen=True)
class Constant:
    """One float32 constant of a graph: its layer name and its values in the stored shape."""

    name: str
    value: Array
    offset: int
    """Where it begins in the weight file, in bytes."""


def read_float_constants(xml_path: Path) -> list[Constant]:
    """The float32 constants of `xml_path` in graph order; the weights lie in the `.bin` beside it.

    Raises ValueError when the file is no IR or its weight file is shorter than it says.
    """
    layers = ElementTree.parse(xml_path).getroot().find("layers")
    if layers is None:
        raise ValueError(f"{xml_path.name} is not an OpenVINO IR model: it has no <layers>")
    weights = xml_path.with_suffix(".bin").read_bytes()
    constants: list[Constant] = []
    for layer in layers:
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None or data.get("element_type") != "f32":
            continue
        value = _read_value(data.attrib, weights, xml_path.name)
        constants.append(Constant(str(layer.get("name")), value, int(data.attrib["offset"])))
    return constants


def _read_value(data: dict[str, str], weights: bytes, file_name: str) -> Array:
    shape = tuple(int(size) for size in data["shape"].split(",") if size.strip())
    offset = int(data["offset"])
    count = math.prod(shape)
    if offset + 4 * count > len(weights):
        raise ValueError(f"the weights of {file_name} end at byte {len(weights)}; {offset + 4 * count} are needed")
    return np.frombuffer(weights, np.float32, count, offset).reshape(shape).copy()
