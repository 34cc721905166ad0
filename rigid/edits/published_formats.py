"""Edits as others publish them, recognised by what is in the file.

| published by | file | content |
|---|---|---|
| InterFaceGAN, STIT, e4e | `.npy`, `.pt` | a direction, 1×512, or one for each code, 18×512 |
| GANSpace, e4e | `.pt`, `.npz` | principal components of W with their deviations |
| SeFa | `.pt`, `.npy` | eigenvectors of the modulation weights |
| Latent-Transformer | `.pth.tar` | one affine map for each code |
| StyleCLIP | `.pt` | a mapper for all codes, or for the coarse, medium and fine ones |

Nothing in a file is run: arrays are read without pickles, checkpoints by PyTorch's reader of weights alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.edits.code_layouts import PUBLISHED_CODES
from rigid.edits.code_map import MOST_LAYERS, MapPart
from rigid.edits.published_reading import read_content

UNIT_STRENGTH = 3.0
"""InterFaceGAN's and GANSpace's own demonstrations go to 3 times a direction of length, or deviation, 1."""
STYLECLIP_STRENGTH = 0.1
"""What StyleCLIP multiplies a mapper's output by, in training and use."""
EQUALISED_RATE = 0.01
"""The learning rate multiplier of StyleCLIP's layers, by which weights and biases are stored too large."""
MAPPERS = {"course_mapping": (0, 4), "medium_mapping": (4, 8), "fine_mapping": (8, PUBLISHED_CODES)}
"""StyleCLIP's mappers (`course` is its own spelling) and the codes each is for, end excluded."""
COMPONENTS = (("comp", "std"), ("lat_comp", "lat_stdev"), ("act_comp", "act_stdev"))
"""What GANSpace's components and their deviations are called: by e4e, in W, in an activation."""


@dataclass(frozen=True)
class Published:
    """An edit as it was published."""

    kind: str
    """Whose form it has."""
    direction: Array | None = None
    """(512,) or (n_codes, 512)."""
    parts: tuple[MapPart, ...] = ()
    codes: int = PUBLISHED_CODES
    """How many codes the generator has that it is for."""
    strength: float = UNIT_STRENGTH
    """What it is usually multiplied by."""


def read_published(path: Path, component: int | None, code_size: int) -> Published:
    """The edit in the file `path`; `component`: which one, for files that hold many.

    Raises ValueError, naming the file and what is wrong with it, when no published form fits.
    """
    try:
        return recognise(read_content(path), component, code_size)
    except ValueError as error:
        text = str(error)
        text = text if text.startswith(path.name) else f"{path.name}: {text}"
        raise ValueError(f"{text.removesuffix('.')}.") from error


def recognise(content: Any, component: int | None, code_size: int) -> Published:
    """The edit in what a file holds; ValueError when it has no published form."""
    if isinstance(content, np.ndarray):
        return _direction(content, component, code_size)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not arrays; see `attributes import --help`")
    content = content.get("T_net_state_dict", content)
    if "dense.0.weight" in content:
        return _latent_transformer(content, code_size)
    mapper = _below(content.get("state_dict", content), "mapper.")
    if mapper or any(f"{level}.mapping.1.weight" in content for level in ("mapping", *MAPPERS)):
        return _styleclip(mapper or content, content.get("opts"), code_size)
    if "eigvec" in content:
        return Published("SeFa eigenvector", _row(_array(content, "eigvec").T, component, code_size))
    for components, deviations in COMPONENTS:
        if components in content:
            return _ganspace(content, components, deviations, component, code_size)
    arrays = [value for value in content.values() if isinstance(value, np.ndarray)]
    if len(arrays) == 1:
        return _direction(arrays[0], component, code_size)
    names = ", ".join(sorted(content)[:4])
    raise ValueError(f"no published form of an edit is known that holds {names or 'nothing'}")


def _direction(values: NDArray[Any], component: int | None, size: int) -> Published:
    values = _numbers(values, "the direction")
    if component is not None:
        return Published("component", _row(values, component, size))
    values = values.reshape(values.shape[1:]) if values.ndim == 3 and values.shape[0] == 1 else values
    if values.shape in ((size,), (1, size)):
        return Published("InterFaceGAN direction", values.reshape(size), strength=_usual_strength(values))
    if values.ndim != 2 or values.shape[1] != size:
        raise ValueError(
            f"its values are {values.shape}; a direction is (1, {size}) or ({PUBLISHED_CODES}, {size}), in W or W+"
        )
    if len(values) > 2 * PUBLISHED_CODES:
        raise ValueError(f"it holds {len(values)} directions; say which with --component 0 to {len(values) - 1}")
    return Published("layer-wise direction", values, codes=len(values), strength=_usual_strength(values))


def _usual_strength(values: Array) -> float:
    """More than 1 where every direction has length 1, as InterFaceGAN's have."""
    lengths = np.linalg.norm(values.reshape(-1, values.shape[-1]), axis=1)
    return UNIT_STRENGTH if np.allclose(lengths[lengths > 0], 1, atol=1e-2) else 1.0


def _row(values: Array, component: int | None, size: int) -> Array:
    """The direction number `component` of (n, size) or (n, 1, size)."""
    if values.ndim == 3 and 1 in values.shape[:2]:
        values = values.reshape(-1, values.shape[2])
    if values.ndim != 2 or values.shape[1] != size:
        raise ValueError(f"its components are {values.shape}, not (n, {size})")
    if component is None:
        raise ValueError(f"it holds {len(values)} directions; say which with --component 0 to {len(values) - 1}")
    if not 0 <= component < len(values):
        raise ValueError(f"it has no component {component}; choose from 0 to {len(values) - 1}")
    return np.ascontiguousarray(values[component])


def _ganspace(content: Mapping[str, Any], name: str, deviations: str, component: int | None, size: int) -> Published:
    """A principal component; a strength then counts deviations, as GANSpace's own sliders do."""
    direction = _row(_array(content, name), component, size)
    spread = _array(content, deviations).reshape(-1)
    assert component is not None
    if component >= len(spread) or spread[component] <= 0:
        raise ValueError(f"it has no deviation above 0 for the component {component}")
    return Published("GANSpace component", direction * spread[component])


def _latent_transformer(content: Mapping[str, Any], size: int) -> Published:
    """w + s·(W·w + b) for each code; weights are stored for He's scale, 1/√512."""
    count = sum(f"dense.{i}.weight" in content for i in range(len(content)))
    weights = np.stack([_require_shape(content, f"dense.{i}.weight", (size, size)) for i in range(count)])
    biases = np.stack([_require_shape(content, f"dense.{i}.bias", (size,)) for i in range(count)])
    part = MapPart(tuple(range(count)), (weights / np.float32(np.sqrt(size)),), (biases,))
    return Published("Latent-Transformer", parts=(part,), codes=count, strength=1.0)


def _styleclip(content: Mapping[str, Any], options: object, size: int) -> Published:
    """w + 0.1·mapper(w), a mapper for all codes or for each level; levels without one stay."""
    resolution = getattr(options, "stylegan_size", 1024)
    if resolution != 1024:
        raise ValueError(f"its mapper was trained for a generator of {resolution}², not of 1024²")
    levels = {"mapping": (0, PUBLISHED_CODES)} if "mapping.mapping.1.weight" in content else MAPPERS
    parts = tuple(
        _mapper(_below(content, f"{level}.mapping."), range(*span), size)
        for level, span in levels.items()
        if f"{level}.mapping.1.weight" in content
    )
    return Published("StyleCLIP mapper", parts=parts, strength=STYLECLIP_STRENGTH)


def _mapper(content: Mapping[str, Any], codes: range, size: int) -> MapPart:
    """A normalisation, entry 0 without values, and equalised dense layers from 1 on."""
    numbers = [i for i in range(1, MOST_LAYERS + 1) if f"{i}.weight" in content]
    scale = np.float32(EQUALISED_RATE / np.sqrt(size))
    weights = tuple(scale * _require_shape(content, f"{i}.weight", (size, size)) for i in numbers)
    biases = tuple(np.float32(EQUALISED_RATE) * _require_shape(content, f"{i}.bias", (size,)) for i in numbers)
    return MapPart(tuple(codes), weights, biases, "leaky_relu", normalise=True)


def _below(content: object, prefix: str) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        return {}
    return {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}


def _require_shape(content: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Array:
    values = _array(content, name)
    if values.shape != shape:
        raise ValueError(f"{name!r} is {values.shape}, not {shape}")
    return values


def _array(content: Mapping[str, Any], name: str) -> Array:
    if name not in content:
        raise ValueError(f"it lacks {name!r}")
    return _numbers(content[name], repr(name))


def _numbers(values: object, what: str) -> Array:
    """An array as float32; ValueError, saying `what` is wrong, where it holds anything but finite numbers."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu" or not values.size:
        found = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
        raise ValueError(f"{what} is {found}, not numbers")
    if not np.isfinite(values).all():
        raise ValueError(f"{what} holds NaN or infinite values")
    numbers: Array = values.astype(np.float32)
    return numbers
