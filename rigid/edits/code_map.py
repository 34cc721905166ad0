"""Edits that depend on the code: a small network that takes the codes to what is added to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Region

Activation = Literal["none", "leaky_relu"]
SLOPE = np.float32(0.2)
GAIN = np.float32(np.sqrt(2))
MOST_LAYERS = 16
ACTIVATIONS: tuple[Activation, ...] = ("none", "leaky_relu")


@dataclass(frozen=True, eq=False)
class MapPart:
    """Dense layers that all of `codes` go through.

    `weights`: (D, D), the same for every code, or (n_codes, D, D), one for each; `biases` (D,) or (n_codes, D).
    """

    codes: tuple[int, ...]
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: Activation = "none"
    """After every layer; `leaky_relu` is StyleGAN2's: slope 0.2, gain √2."""
    normalise: bool = False
    """Divide by the root mean square over the part's codes first, as StyleCLIP's mappers do."""

    def __call__(self, codes: Array, kept: Region) -> Array:
        """Codes (B, n_codes, D) → what is added to those of the part that are `kept` (n_codes,), in their order."""
        x = codes[:, list(self.codes)]
        if self.normalise:
            x = x / np.sqrt(np.square(x).mean(1, keepdims=True) + np.float32(1e-8))
        chosen = kept[list(self.codes)]
        x = x[:, chosen]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = _dense(x, weight if weight.ndim == 2 else weight[chosen]) + (bias if bias.ndim == 1 else bias[chosen])
            if self.activation == "leaky_relu":
                x = np.maximum(x, SLOPE * x) * GAIN
        return x


def _dense(x: Array, weight: Array) -> Array:
    """x (B, K, D) by a weight (D, D) for all, or (K, D, D)."""
    product = np.empty_like(x)
    # code by code: a product with a vector reads the weights once, in order, where one with a few packs them first
    for batch, k in np.ndindex(x.shape[:2]):
        np.dot(weight if weight.ndim == 2 else weight[k], x[batch, k], out=product[batch, k])
    return product


@dataclass(frozen=True, eq=False)
class CodeMap:
    """w → Δ, in the codes of the file it comes from, used on a profile's codes.

    `taken` (n_file_codes,): the profile's code that stands for each of the file's; `given` (n_codes,): the file's
    code whose Δ each of the profile's takes; `carried` (n_codes,): which of the profile's codes the edit changes.
    """

    parts: tuple[MapPart, ...]
    taken: NDArray[np.intp]
    given: NDArray[np.intp]
    carried: Region
    scale: float = 1.0

    def __call__(self, codes: Array) -> Array:
        """What strength 1 adds to codes (B, n_codes, D): float32 of the same shape."""
        stored = codes[:, self.taken]
        delta = np.zeros_like(stored)
        wanted = np.zeros(len(self.taken), np.bool_)
        wanted[self.given[self.carried]] = True
        for part in self.parts:
            places = [code for code in part.codes if wanted[code]]
            if places:
                delta[:, places] = part(stored, wanted)
        changed: Array = delta[:, self.given] * np.float32(self.scale)
        changed[:, ~self.carried] = 0
        return changed


def to_tensors(parts: Sequence[MapPart]) -> dict[str, Array]:
    """The parts' arrays by name, as a file holds them."""
    tensors = {}
    for number, part in enumerate(parts):
        for layer, (weight, bias) in enumerate(zip(part.weights, part.biases, strict=True)):
            tensors[f"map.{number}.weight.{layer}"] = np.ascontiguousarray(weight, np.float32)
            tensors[f"map.{number}.bias.{layer}"] = np.ascontiguousarray(bias, np.float32)
    return tensors


def describe(parts: Sequence[MapPart]) -> list[dict[str, object]]:
    """What the parts' arrays do not say, ready for JSON."""
    return [
        {
            "codes": list(part.codes),
            "layers": len(part.weights),
            "activation": part.activation,
            "normalise": part.normalise,
        }
        for part in parts
    ]


def from_tensors(described: object, tensors: Mapping[str, Array], n_codes: int, size: int) -> tuple[MapPart, ...]:
    """The parts that `to_tensors` and `describe` wrote down, for `n_codes` codes of `size`.

    Raises ValueError when an array is missing, too many, or of another shape than the rest asks for.
    """
    if not isinstance(described, list) or not described:
        raise ValueError("its map is not described")
    left = dict(tensors)
    parts = tuple(_part(number, one, left, n_codes, size) for number, one in enumerate(described))
    if left:
        raise ValueError(f"its map has a tensor too many: {next(iter(left))!r}")
    covered = [code for part in parts for code in part.codes]
    if len(covered) != len(set(covered)):
        raise ValueError("two parts of its map are for the same code")
    return parts


def _part(number: int, described: object, left: dict[str, Array], n_codes: int, size: int) -> MapPart:
    if not isinstance(described, dict):
        raise ValueError(f"part {number} of its map is not described")
    codes = tuple(int(code) for code in described["codes"])
    if not codes or min(codes) < 0 or max(codes) >= n_codes or list(codes) != sorted(set(codes)):
        raise ValueError(f"part {number} of its map names no codes from 0 to {n_codes - 1} in order")
    if described["activation"] not in ACTIVATIONS:
        raise ValueError(f"part {number} of its map has the unknown activation {described['activation']!r}")
    count = int(described["layers"])
    if not 1 <= count <= MOST_LAYERS:
        raise ValueError(f"part {number} of its map has {count} layers; 1 to {MOST_LAYERS} are taken")
    weights = [_take(left, f"map.{number}.weight.{i}", (size, size), len(codes)) for i in range(count)]
    biases = [_take(left, f"map.{number}.bias.{i}", (size,), len(codes)) for i in range(count)]
    return MapPart(codes, tuple(weights), tuple(biases), described["activation"], bool(described["normalise"]))


def _take(left: dict[str, Array], name: str, shape: tuple[int, ...], n_codes: int) -> Array:
    if name not in left:
        raise ValueError(f"its map lacks the tensor {name!r}")
    value = left.pop(name)
    if value.shape not in (shape, (n_codes, *shape)):
        raise ValueError(f"its tensor {name!r} is {value.shape}, not {shape} or {(n_codes, *shape)}")
    return value
