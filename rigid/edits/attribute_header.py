"""What an attribute's file says of its edit, and what makes sense of that."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, cast

import numpy as np

NUMBERS = ("min", "max", "default", "strength_scale", "opposite", "video_gain", "motion_gain")
OPTIONAL_NUMBERS = ("target", "identity")
TABLES = ("measured", "calibration")
GROUPS = ("expression", "age", "hair", "beard", "make-up", "shape", "pose", "accessories", "light", "other")
"""The groups of edits, in the order a page shows them."""
REGIONS = ("face", "hair", "lips", "eyes")
"""What an edit is meant for: the face, the hair beyond it, or of the face its lips, or its eyes and lids, alone."""
REGION_OF_GROUP = {"hair": "hair"}
CALM_GROUPS = ("age", "hair", "beard", "make-up", "accessories", "light")
"""The groups of edits that change none of `FEATURES` where their files do not say so."""
FEATURES = ("mouth", "lids", "eyes", "brows")
"""What of a face stays the real one's unless an edit is meant to change it: lips and what is between them, how far the
eyes are open, the eyes, the brows."""
LONGEST_NAME = 40
LONGEST_TEXT = 500
MOST_CODES = 64
MOST_MOTION_GAIN = 100.0


@dataclass(frozen=True)
class AttributeHeader:
    """What a file says of its edit."""

    name: str
    """The name as the API takes it: lower case, digits and underscores."""
    label: str
    """The name as a person reads it."""
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
    """The generator whose codes it is for, of `rigid.edits.code_layouts.FAMILIES`; empty where not known."""
    codes: int = 0
    """How many codes `layers`, the direction and the map count; 0 for the profile's own."""
    measure: str = ""
    """What `target` is measured as: a blendshape, years, degrees; empty where it was not calibrated."""
    target: float | None = None
    """The amount by which strength 1 changes `measure`."""
    identity: float | None = None
    """Mean similarity of the face before and at strength 1, 1 for the same."""
    calibration: dict[str, float] = field(default_factory=dict)
    """The change of `measure` that strength 1 was seen to reach, by what it was seen on."""
    region: str = ""
    """One of `REGIONS`; where it is not given, what the group says."""
    changes: tuple[str, ...] | None = None
    """Those of `FEATURES` that it is meant to change; where it is not given, what the group says."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "region", self.region or REGION_OF_GROUP.get(self.group, REGIONS[0]))
        if self.changes is None:
            object.__setattr__(self, "changes", () if self.group in CALM_GROUPS else FEATURES)


def check_header(header: AttributeHeader, file_name: str) -> None:
    """ValueError, naming the file, when a value of `header` makes no sense."""
    check_name(header.name, file_name)
    if header.group not in GROUPS:
        raise ValueError(f"{file_name}: there is no group {header.group!r}; choose one of: {', '.join(GROUPS)}.")
    if header.region not in REGIONS:
        raise ValueError(f"{file_name}: there is no region {header.region!r}; choose one of: {', '.join(REGIONS)}.")
    unknown = set(header.changes or ()) - set(FEATURES)
    if unknown:
        raise ValueError(
            f"{file_name}: an edit cannot change {', '.join(sorted(unknown))}; name some of: {', '.join(FEATURES)}."
        )
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


def parse_header(text: str, file_name: str) -> AttributeHeader:
    known = {f.name for f in fields(AttributeHeader)}
    try:
        values = cast(dict[str, Any], json.loads(text))
        values = {name: value for name, value in values.items() if name in known}
        numbers: dict[str, Any] = {name: float(values[name]) for name in NUMBERS if name in values}
        for name in OPTIONAL_NUMBERS:
            numbers[name] = None if values.get(name) is None else float(values[name])
        for name in TABLES:
            numbers[name] = {str(key): float(value) for key, value in values.get(name, {}).items()}
        if values.get("changes") is not None:
            values["changes"] = tuple(str(name) for name in values["changes"])
        whole = {name: int(values.get(name, 0)) for name in ("order", "codes")}
        texts = {name: str(values[name]) for name in ("name", "label", "group", "source")}
        values = values | numbers | whole | texts | {"layers": tuple(int(i) for i in values["layers"])}
        return AttributeHeader(**values)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{file_name}: its header cannot be understood ({one_line(error)}).") from error


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()).removesuffix(".")
