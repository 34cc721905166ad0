"""The file of one attribute: a safetensors with its edit and a JSON header that says what it does.

Tensor `direction`: float32 (512,), used for every code in `layers`, or (n_codes, 512), used as it is. Tensors
`map.…`: a small network from the codes to what is added to them, described by the metadata `map`; see `codemap`.
Tensor `motion`, optional: float32 (2, 478, 2), how the landmarks of generated faces move at strength 1 and at -1 on
average, in crop sides. Metadata `attribute`: JSON of `AttributeHeader`. A strength s adds
s · strength_scale · (direction + map(codes)) to the codes (Eq. 5), times `opposite` where s is negative. A file for the
18 codes of StyleGAN2 at 1024² serves every profile; see `layouts`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rigid.arrays import Array
from rigid.atomic_files import replacing
from rigid.edits import code_map as codemap
from rigid.edits.code_layouts import from_published, to_published
from rigid.edits.code_map import CodeMap, MapPart
from rigid.face.landmarks import N_LANDMARKS

METADATA_KEY = "attribute"
MAP_KEY = "map"
TENSOR = "direction"
MOTION, MOTION_SHAPE = "motion", (2, N_LANDMARKS, 2)
NUMBERS = ("min", "max", "default", "strength_scale", "opposite", "video_gain", "motion_gain")
OPTIONAL_NUMBERS = ("target", "identity")
TABLES = ("measured", "calibration")
GROUPS = ("expression", "age", "hair", "beard", "make-up", "shape", "pose", "accessories", "light", "other")
"""In the order a page shows them."""
REGIONS = ("face", "hair", "eyes")
"""What an edit is meant for: the face, the hair beyond it, or eyes that it shuts and that are therefore drawn anew."""
REGION_OF_GROUP = {"hair": "hair"}
REGION_OF_MEASURE = {"eyes_closed": "eyes"}
"""Of edits that do not state it."""
LONGEST_NAME = 40
LONGEST_TEXT = 500
MOST_CODES = 64
MOST_MOTION_GAIN = 100.0


@dataclass(frozen=True)
class AttributeHeader:
    """What a file says of its edit."""

    name: str
    """As the API takes it: lower case, digits and underscores."""
    label: str
    """As a person reads it."""
    group: str
    """One of `GROUPS`."""
    source: str
    """Where the edit comes from."""
    strength_scale: float
    """Length of the edit, in multiples of the stored one, at strength 1."""
    layers: tuple[int, ...]
    """The codes that carry the edit."""
    opposite: float = 1.0
    """Length of the edit at strength -1, in lengths at 1."""
    video_gain: float = 1.0
    """How much longer than other edits it must be in a stream, which holds edits back; 0 leaves it to `motion_gain`."""
    motion_gain: float = 0.0
    """How much of the file's motion of the landmarks a stream adds to what is generated."""
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
    family: str = ""
    """The generator whose codes it is for, one of `layouts.FAMILIES`; empty where that is not known."""
    codes: int = 0
    """How many codes `layers`, the direction and the map count; 0 for the profile's own."""
    measure: str = ""
    """What `target` is measured as: a blendshape, years, degrees; empty where it was not calibrated."""
    target: float | None = None
    """By how much strength 1 changes `measure`."""
    identity: float | None = None
    """Mean similarity of the face before and at strength 1, 1 for the same."""
    calibration: dict[str, float] = field(default_factory=dict)
    """The change of `measure` that strength 1 was seen to reach, by what it was seen on."""
    region: str = ""
    """One of `REGIONS`; where it is not given, what the group and the measure say."""

    def __post_init__(self) -> None:
        said = REGION_OF_MEASURE.get(self.measure) or REGION_OF_GROUP.get(self.group, REGIONS[0])
        object.__setattr__(self, "region", self.region or said)


class Stored(NamedTuple):
    """An attribute as a profile uses it."""

    header: AttributeHeader
    direction: Array
    """What strength 1 adds to any codes, float32 (n_codes, code_size); zeros where there is only a map."""
    code_map: CodeMap | None
    """What it adds to these codes in particular."""
    motion: Array | None
    """How it moves the landmarks at strength 1 and at -1, (2, 478, 2) in crop sides."""


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
    if motion is not None:
        tensors[MOTION] = np.ascontiguousarray(motion, np.float32)
    _check_values(tensors, path.name)
    metadata = {METADATA_KEY: json.dumps(asdict(header))}
    if parts:
        metadata[MAP_KEY] = json.dumps(codemap.describe(parts))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        save_file(tensors, part, metadata=metadata)


def rewrite_header(
    path: Path, change: Callable[[AttributeHeader], AttributeHeader], motion: Array | None = None
) -> AttributeHeader:
    """Replace the header in `path` by what `change` makes of it, and the motion if one is given; the edit stays.

    ValueError for a bad file.
    """
    text, map_text, tensors = _read_raw(path)
    if motion is not None:
        tensors[MOTION] = np.ascontiguousarray(motion, np.float32)
        _check_values(tensors, path.name)
    header = change(_parse_header(text, path.name))
    check_header(header, path.name)
    metadata = {METADATA_KEY: json.dumps(asdict(header))} | ({} if map_text is None else {MAP_KEY: map_text})
    with replacing(path) as part:
        save_file(tensors, part, metadata=metadata)
    return header


def read_attribute(path: Path, *, n_codes: int, code_size: int, family: str = "") -> Stored:
    """The header and the edit at strength 1 of `path`, for a profile of `n_codes` codes of `code_size`.

    `family`: the profile's generator; empty where any will do. Raises ValueError, naming the file and what is wrong
    with it, for anything but an attribute of this size and family.
    """
    text, map_text, tensors = _read_raw(path)
    header = _parse_header(text, path.name)
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
        raise ValueError(f"{path.name}: {_one_line(error)}.") from error


def _for_profile(
    header: AttributeHeader, map_text: str | None, tensors: dict[str, Array], n_codes: int, size: int
) -> Stored:
    stored_codes = header.codes or n_codes
    given = from_published(n_codes, stored_codes)
    if max(header.layers) >= stored_codes:
        owner = "it" if header.codes else "this profile"
        raise ValueError(f"code {max(header.layers)} is named, but {owner} has {stored_codes} codes")
    carried = np.isin(given, header.layers)
    direction = np.zeros((n_codes, size), np.float32)
    tensors = dict(tensors)
    stored, motion = tensors.pop(TENSOR, None), tensors.pop(MOTION, None)
    if stored is not None:
        if stored.shape not in ((size,), (stored_codes, size)):
            takes = f"this profile takes ({size},) or ({stored_codes}, {size})"
            raise ValueError(f"the direction is {stored.shape}, but {takes}")
        per_code = np.broadcast_to(stored, (stored_codes, size))
        direction[carried] = header.strength_scale * per_code[given[carried]]
    if map_text is None:
        return Stored(header, direction, None, motion)
    parts = codemap.from_tensors(json.loads(map_text), tensors, stored_codes, size)
    taken = to_published(n_codes, stored_codes)
    return Stored(header, direction, CodeMap(parts, taken, given, carried, header.strength_scale), motion)


def check_header(header: AttributeHeader, file_name: str) -> None:
    """ValueError, naming the file, when a value of `header` makes no sense."""
    check_name(header.name, file_name)
    if header.group not in GROUPS:
        raise ValueError(f"{file_name}: there is no group {header.group!r}; choose one of: {', '.join(GROUPS)}.")
    if header.region not in REGIONS:
        raise ValueError(f"{file_name}: there is no region {header.region!r}; choose one of: {', '.join(REGIONS)}.")
    texts = (header.label, header.source, header.unit, header.effect, header.measure, header.family)
    if not header.label.strip() or any(len(text) > LONGEST_TEXT or not text.isprintable() for text in texts):
        raise ValueError(f"{file_name}: give a label, and texts of at most {LONGEST_TEXT} printable characters.")
    _check_numbers(header, file_name)
    if not header.layers or min(header.layers) < 0:
        raise ValueError(f"{file_name}: layers must name at least one code, counted from 0.")
    if not 0 <= header.codes <= MOST_CODES:
        raise ValueError(f"{file_name}: it is for {header.codes} codes; give 1 to {MOST_CODES}, or 0.")


def check_name(name: str, file_name: str) -> None:
    """ValueError, naming the file, when `name` is not one that the API takes."""
    if not name.isidentifier() or not name.isascii() or name != name.lower() or len(name) > LONGEST_NAME:
        raise ValueError(
            f"{file_name}: the name {name!r} must be lower case letters, digits and underscores, "
            f"at most {LONGEST_NAME}."
        )


def _check_numbers(header: AttributeHeader, file_name: str) -> None:
    numbers = [getattr(header, name) for name in NUMBERS]
    if not all(np.isfinite(numbers)) or header.strength_scale == 0 or header.opposite <= 0:
        raise ValueError(f"{file_name}: {', '.join(NUMBERS)} must be finite, the scale not 0, opposite above 0.")
    if header.motion_gain > MOST_MOTION_GAIN:
        raise ValueError(f"{file_name}: motion_gain is {header.motion_gain:g}; give at most {MOST_MOTION_GAIN:g}.")
    if min(header.video_gain, header.motion_gain) < 0 or header.video_gain + header.motion_gain == 0:
        raise ValueError(f"{file_name}: neither of video_gain and motion_gain may be below 0, nor both 0.")
    if not header.min <= header.default <= header.max or not header.min <= 0 <= header.max or header.min == header.max:
        raise ValueError(
            f"{file_name}: the range {header.min:g} to {header.max:g} must hold 0 (off), the default "
            f"{header.default:g} and more than one number."
        )
    optional = [value for value in (header.target, header.identity) if value is not None]
    if not all(np.isfinite([*optional, *header.measured.values(), *header.calibration.values()])):
        raise ValueError(f"{file_name}: target, identity, measured and calibration must be finite.")


def _check_values(tensors: dict[str, Array], file_name: str) -> None:
    if not tensors.keys() - {MOTION}:
        raise ValueError(f"{file_name}: it has neither a direction nor a map.")
    motion = tensors.get(MOTION)
    if motion is not None and motion.shape != MOTION_SHAPE:
        raise ValueError(f"{file_name}: the motion is {motion.shape}, but landmarks take {MOTION_SHAPE}.")
    if motion is not None and np.abs(motion).max() > 1:
        raise ValueError(f"{file_name}: the motion moves landmarks by more than 1, the crop's side.")
    for name, value in tensors.items():
        what = f"the {name}" if name == TENSOR else f"the tensor {name!r}"
        if not np.isfinite(value).all():
            raise ValueError(f"{file_name}: {what} holds NaN or infinite values.")
        if name == TENSOR and not value.any():
            raise ValueError(f"{file_name}: the direction is all zero and would change nothing.")


def _read_raw(path: Path) -> tuple[str, str | None, dict[str, Array]]:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            names = set(file.keys())
            of_map = {name for name in names if name.startswith("map.")}
            edit = of_map | (names & {TENSOR})
            if (
                METADATA_KEY not in metadata
                or names - edit - {MOTION}
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
        raise ValueError(f"{path.name} cannot be read as a safetensors file: {_one_line(error)}") from error


def _parse_header(text: str, file_name: str) -> AttributeHeader:
    known = {f.name for f in fields(AttributeHeader)}
    try:
        values = cast(dict[str, Any], json.loads(text))
        values = {name: value for name, value in values.items() if name in known}
        numbers: dict[str, Any] = {name: float(values[name]) for name in NUMBERS if name in values}
        for name in OPTIONAL_NUMBERS:
            numbers[name] = None if values.get(name) is None else float(values[name])
        for name in TABLES:
            numbers[name] = {str(key): float(value) for key, value in values.get(name, {}).items()}
        whole = {name: int(values.get(name, 0)) for name in ("order", "codes")}
        texts = {name: str(values[name]) for name in ("name", "label", "group", "source")}
        values = values | numbers | whole | texts | {"layers": tuple(int(i) for i in values["layers"])}
        return AttributeHeader(**values)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{file_name}: its header cannot be understood ({_one_line(error)}).") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).removesuffix(".")
