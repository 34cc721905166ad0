"""The weights of `MobileStyleGAN` and `MappingNetwork` from the published OpenVINO files, named as they name them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rigid.arrays import Array
from rigid.models.openvino_ir import Constant, read_float_constants

State = dict[str, Array]
"""A network's weights by name."""


def read_mapping(xml_path: Path) -> State:
    """The mapping network's weights; the learning-rate scales are already folded into the file."""
    matrices = [c.value for c in read_float_constants(xml_path) if c.value.shape == (512, 512)]
    biases = [c.value for c in read_float_constants(xml_path) if c.value.shape == (512,)]
    if len(matrices) != len(biases) or not matrices:
        raise ValueError(f"{xml_path.name}: {len(matrices)} weight matrices and {len(biases)} biases found")
    state: State = {}
    for i, (weight, bias) in enumerate(zip(matrices, biases, strict=True)):
        state[f"layers.{i}.weight"] = weight
        state[f"layers.{i}.bias"] = bias
    return state


def read_synthesis(xml_path: Path) -> State:
    """The whole 1024² synthesis network's weights, gains folded into the modulations."""
    constants = read_float_constants(xml_path)
    named = {c.name: c.value for c in constants}
    convolutions = ["conv1", *(f"levels.{i}.conv{j}" for i in range(7) for j in (1, 2))]
    state: State = {"input": named["m.input.input"]}
    dense = _in_order(constants, lambda c: bool(re.fullmatch(r"Mul_\d+_copy", c.name)))
    noises = _in_order(constants, _is_noise)
    for name, weight, noise in zip(convolutions, dense, noises, strict=True):
        source = "m." + name.replace("levels", "layers")
        if weight.shape[-1] == 1:
            state[f"{name}.depthwise.weight"] = named[f"{source}.conv.weight_dw"].squeeze(2)
        state[f"{name}.pointwise.weight"] = weight
        state[f"{name}.pointwise.bias"] = named[f"{source}.bias"].flatten()
        state[f"{name}.noise"] = noise
        _add_modulation(state, name + ".modulation", named, f"{source}.conv.modulation", kernel=3)
    for i in range(7):
        _add_modulation(state, f"levels.{i}.up", named, f"m.layers.{i}.up.modulation", kernel=None)
    _add_modulation(state, "head.modulation", named, "m.layers.6.to_img.conv.modulation", kernel=1)
    state["head.pointwise.weight"] = named["m.layers.6.to_img.conv.weight"]
    state["head.pointwise.bias"] = named["m.layers.6.to_img.bias"].flatten()
    return state


def _is_noise(constant: Constant) -> bool:
    shape = constant.value.shape
    return len(shape) == 4 and shape[:2] == (1, 1) and shape[2] == shape[3] >= 4


def _in_order(constants: list[Constant], wanted: Callable[[Constant], bool]) -> list[Array]:
    return [c.value for c in constants if wanted(c)]


def _add_modulation(state: State, name: str, named: State, source: str, kernel: int | None) -> None:
    """Fold s = 1/√(c_in·k²) into A and b; upsampling (kernel None) has no gain."""
    weight, bias = named[f"{source}.weight"], named[f"{source}.bias"].flatten()
    gain = np.float32(1.0 if kernel is None else 1.0 / math.sqrt(weight.shape[0] * kernel * kernel))
    state[f"{name}.weight"] = weight * gain
    state[f"{name}.bias"] = bias * gain
