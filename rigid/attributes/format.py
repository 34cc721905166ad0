"""The file of one attribute: a safetensors with one direction and a JSON header that says what it does.

Tensor `direction`: float32 (512,), used for every code in `layers`, or (n_codes, 512), used as it is.
Metadata `attribute`: JSON of `AttributeHeader`. A strength s adds s · strength_scale · direction to the codes
(Eq. 5), times `opposite` where s is negative.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

Array = NDArray[np.float32]
METADATA_KEY = "attribute"
TENSOR = "direction"
NUMBERS = ("min", "max", "default", "strength_scale", "opposite")


@dataclass(frozen=True)
class AttributeHeader:
    """What a file says of its direction."""

    name: str
    """As the API takes it: lower case, digits and underscores."""
    label: str
    """As a person reads it."""
    group: str
    """expression, age, pose, …"""
    source: str
    """Where the direction comes from."""
    strength_scale: float
    """Length of the edit, in multiples of the stored direction, at strength 1."""
    layers: tuple[int, ...]
    """The codes that carry the edit."""
    opposite: float = 1.0
    """Length of the edit at strength -1, in lengths at 1."""
    min: float = -1.0
    max: float = 1.0
    default: float = 0.0
    unit: str = "strength"
    effect: str = ""
    """What strength 1 does, in words with its measured size."""
    order: int = 0
    """Where a list shows it: lower first."""
    measured: dict[str, float] = field(default_factory=dict)
    """What was measured on held-out faces, for the record."""


def write_attribute(path: Path, header: AttributeHeader, direction: Array) -> None:
    """Write `direction` (512,) or (n_codes, 512) under `header`; ValueError when it would not be readable."""
    check_header(header, path.name)
    _check_finite(direction, path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensor = np.ascontiguousarray(direction, np.float32)
    save_file({TENSOR: tensor}, path, metadata={METADATA_KEY: json.dumps(asdict(header))})


def read_attribute(path: Path, *, n_codes: int, code_size: int) -> tuple[AttributeHeader, Array]:
    """The header and the edit at strength 1, float32 (n_codes, code_size), of `path`.

    Raises ValueError, naming the file and what is wrong with it, for anything but an attribute of this size.
    """
    text, stored = _read_raw(path)
    header = _parse_header(text, path.name)
    check_header(header, path.name)
    _check_finite(stored, path.name)
    if stored.shape not in ((code_size,), (n_codes, code_size)):
        raise ValueError(
            f"{path.name}: the direction is {stored.shape}, but this profile takes "
            f"({code_size},) or ({n_codes}, {code_size})."
        )
    if max(header.layers) >= n_codes:
        raise ValueError(f"{path.name}: code {max(header.layers)} is named, but this profile has {n_codes} codes.")
    edit = np.zeros((n_codes, code_size), np.float32)
    layers = list(header.layers)
    edit[layers] = header.strength_scale * (stored if stored.ndim == 1 else stored[layers])
    return header, edit


def check_header(header: AttributeHeader, file_name: str) -> None:
    """ValueError, naming the file, when a value of `header` makes no sense."""
    numbers = (header.min, header.max, header.default, header.strength_scale, header.opposite)
    if not header.name.isidentifier() or header.name != header.name.lower():
        raise ValueError(f"{file_name}: the name {header.name!r} must be lower case letters, digits and underscores.")
    if not all(np.isfinite(numbers)) or header.strength_scale == 0 or header.opposite <= 0:
        raise ValueError(
            f"{file_name}: min, max, default, strength_scale and opposite must be finite, the scale not 0 and "
            f"opposite above 0."
        )
    if not header.min <= header.default <= header.max or not header.min <= 0 <= header.max:
        raise ValueError(
            f"{file_name}: the range {header.min:g} to {header.max:g} must hold 0 (off) and the default "
            f"{header.default:g}."
        )
    if not header.layers or min(header.layers) < 0:
        raise ValueError(f"{file_name}: layers must name at least one code, counted from 0.")


def _check_finite(direction: Array, file_name: str) -> None:
    if not np.isfinite(direction).all():
        raise ValueError(f"{file_name}: the direction holds NaN or infinite values.")
    if not direction.any():
        raise ValueError(f"{file_name}: the direction is all zero and would change nothing.")


def _read_raw(path: Path) -> tuple[str, Array]:
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            names = set(file.keys())
            if text is None or names != {TENSOR}:
                raise ValueError(
                    f"{path.name} is not an attribute file: it needs the one tensor {TENSOR!r} and the metadata "
                    f"{METADATA_KEY!r}."
                )
            return text, np.asarray(file.get_tensor(TENSOR), np.float32)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path.name} cannot be read as a safetensors file: {error}") from error


def _parse_header(text: str, file_name: str) -> AttributeHeader:
    known = {f.name for f in fields(AttributeHeader)}
    try:
        values = cast(dict[str, Any], json.loads(text))
        values = {name: value for name, value in values.items() if name in known}
        numbers = {name: float(values[name]) for name in NUMBERS if name in values}
        whole = {"order": int(values.get("order", 0)), "layers": tuple(int(i) for i in values["layers"])}
        values = values | numbers | whole
        return AttributeHeader(**values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file_name}: its header cannot be understood ({error}).") from error
