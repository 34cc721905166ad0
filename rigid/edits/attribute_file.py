"""The file of one attribute: a safetensors with its edit and a JSON header that says what it does.

Tensor `direction`: float32 (512,), used for every code in `layers`, or (n_codes, 512), used as it is. Tensors
`map.…`: a small network from the codes to what is added to them, described by the metadata `map`
(`rigid.edits.code_map`). Tensor `direction_back`, optional, as `direction`: the edit of negative strengths, where that
is another than the way back.
Tensor `motion`, optional: float32 (2, 478, 2), how the landmarks of generated faces move at strength 1 and at -1 on
average, in crop sides. Metadata `attribute`: JSON of `AttributeHeader`. A strength s adds
s · strength_scale · (direction + map(codes)) to the codes (Eq. 5), times `opposite` where s is negative; there, where
the file has a `direction_back`, |s| · strength_scale · direction_back. A file for the 18 codes of StyleGAN2 at 1024²
serves every profile; see `rigid.edits.code_layouts`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rigid.arrays import Array
from rigid.atomic_files import replacing
from rigid.edits import code_map as codemap
from rigid.edits.attribute_header import AttributeHeader, check_header, one_line, parse_header
from rigid.edits.code_layouts import from_published, to_published
from rigid.edits.code_map import CodeMap, MapPart
from rigid.face.landmarks import N_LANDMARKS

METADATA_KEY = "attribute"
MAP_KEY = "map"
TENSOR, BACK = "direction", "direction_back"
MOTION, MOTION_SHAPE = "motion", (2, N_LANDMARKS, 2)


class Stored(NamedTuple):
    """An attribute as a profile uses it."""

    header: AttributeHeader
    direction: Array
    """What strength 1 adds to any codes, float32 (n_codes, code_size); zeros where there is only a map."""
    code_map: CodeMap | None
    """What it adds to these codes in particular."""
    motion: Array | None
    """How it moves the landmarks at strength 1 and at -1, (2, 478, 2) in crop sides."""
    back: Array | None = None
    """What strength -1 adds before `opposite`, as `direction`; None where that is the way back."""


def write_attribute(
    path: Path,
    header: AttributeHeader,
    direction: Array | None,
    parts: Sequence[MapPart] = (),
    motion: Array | None = None,
) -> None:
    """Write `direction` (512,) or (n_codes, 512), a map's `parts`, and `motion` (2, 478, 2), under `header`.

    ValueError when it would not be readable.
    """
    check_header(header, path.name)
    tensors = codemap.to_tensors(parts)
    if direction is not None:
        tensors[TENSOR] = np.ascontiguousarray(direction, np.float32)
    _add(tensors, motion)
    _check_values(tensors, path.name)
    metadata = {METADATA_KEY: json.dumps(asdict(header))}
    if parts:
        metadata[MAP_KEY] = json.dumps(codemap.describe(parts))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        save_file(tensors, part, metadata=metadata)


def rewrite_header(
    path: Path,
    change: Callable[[AttributeHeader], AttributeHeader],
    motion: Array | None = None,
    back: Array | None = None,
    direction: Array | None = None,
) -> AttributeHeader:
    """Replace the header in `path` by what `change` makes of it, and motion, way back and direction where given.

    ValueError for a bad file.
    """
    text, map_text, tensors = _read_raw(path)
    _add(tensors, motion, back, direction)
    _check_values(tensors, path.name)
    header = change(parse_header(text, path.name))
    check_header(header, path.name)
    metadata = {METADATA_KEY: json.dumps(asdict(header))} | ({} if map_text is None else {MAP_KEY: map_text})
    with replacing(path) as part:
        save_file(tensors, part, metadata=metadata)
    return header


def _add(
    tensors: dict[str, Array], motion: Array | None, back: Array | None = None, direction: Array | None = None
) -> None:
    given = {MOTION: motion, BACK: back, TENSOR: direction}
    tensors |= {name: np.ascontiguousarray(array, np.float32) for name, array in given.items() if array is not None}


def read_attribute(path: Path, *, n_codes: int, code_size: int, family: str = "") -> Stored:
    """The header and the edit at strength 1 of `path`, for a profile of `n_codes` codes of `code_size`.

    `family`: the profile's generator; empty where any will do. Raises ValueError, naming the file and what is wrong
    with it, for anything but an attribute of this size and family.
    """
    text, map_text, tensors = _read_raw(path)
    header = parse_header(text, path.name)
    check_header(header, path.name)
    if family and header.family and header.family != family:
        raise ValueError(
            f"{path.name}: it is for the generator {header.family}, but this profile's is {family}, to which its "
            f"codes mean nothing."
        )
    _check_values(tensors, path.name)
    try:
        return _for_profile(header, map_text, tensors, n_codes, code_size)
    except KeyError as error:
        raise ValueError(f"{path.name}: the description of its map lacks {error}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: {one_line(error)}.") from error


def _for_profile(
    header: AttributeHeader, map_text: str | None, tensors: dict[str, Array], n_codes: int, size: int
) -> Stored:
    stored_codes = header.codes or n_codes
    given = from_published(n_codes, stored_codes)
    if max(header.layers) >= stored_codes:
        owner = "it" if header.codes else "this profile"
        raise ValueError(f"code {max(header.layers)} is named, but {owner} has {stored_codes} codes")
    carried = np.isin(given, header.layers)
    tensors = dict(tensors)
    motion = tensors.pop(MOTION, None)
    directions: dict[str, Array] = {}
    for name in {TENSOR, BACK} & tensors.keys():
        stored = tensors.pop(name)
        if stored.shape not in ((size,), (stored_codes, size)):
            takes = f"this profile takes ({size},) or ({stored_codes}, {size})"
            raise ValueError(f"the {name} is {stored.shape}, but {takes}")
        per_code = np.broadcast_to(stored, (stored_codes, size))
        directions[name] = np.zeros((n_codes, size), np.float32)
        directions[name][carried] = header.strength_scale * per_code[given[carried]]
    direction, back = directions.get(TENSOR, np.zeros((n_codes, size), np.float32)), directions.get(BACK)
    if map_text is None:
        return Stored(header, direction, None, motion, back)
    parts = codemap.from_tensors(json.loads(map_text), tensors, stored_codes, size)
    taken = to_published(n_codes, stored_codes)
    return Stored(header, direction, CodeMap(parts, taken, given, carried, header.strength_scale), motion, back)


def _check_values(tensors: dict[str, Array], file_name: str) -> None:
    if not tensors.keys() - {MOTION, BACK}:
        raise ValueError(f"{file_name}: it has neither a direction nor a map.")
    motion = tensors.get(MOTION)
    if motion is not None and motion.shape != MOTION_SHAPE:
        raise ValueError(f"{file_name}: the motion is {motion.shape}, but landmarks take {MOTION_SHAPE}.")
    if motion is not None and np.abs(motion).max() > 1:
        raise ValueError(f"{file_name}: the motion moves landmarks by more than 1, the crop's side.")
    for name, value in tensors.items():
        what = f"the {name}" if name in (TENSOR, BACK) else f"the tensor {name!r}"
        if not np.isfinite(value).all():
            raise ValueError(f"{file_name}: {what} holds NaN or infinite values.")
        if name in (TENSOR, BACK) and not value.any():
            raise ValueError(f"{file_name}: {what} is all zero and would change nothing.")


def _read_raw(path: Path) -> tuple[str, str | None, dict[str, Array]]:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            names = set(file.keys())
            of_map = {name for name in names if name.startswith("map.")}
            edit = of_map | (names & {TENSOR})
            if (
                METADATA_KEY not in metadata
                or names - edit - {MOTION, BACK}
                or not edit
                or (MAP_KEY in metadata) != bool(of_map)
            ):
                raise ValueError(
                    f"{path.name} is not an attribute file: it needs the tensor {TENSOR!r}, or a map's, and the "
                    f"metadata {METADATA_KEY!r}."
                )
            tensors = {name: np.asarray(file.get_tensor(name), np.float32) for name in sorted(names)}
            return metadata[METADATA_KEY], metadata.get(MAP_KEY), tensors
    except (SafetensorError, OSError, TypeError) as error:
        raise ValueError(f"{path.name} cannot be read as a safetensors file: {one_line(error)}") from error
