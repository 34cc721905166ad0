"""One edit that a profile offers: its name, range and direction (Eq. 5, attribute-agnostic)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rigid.arrays import Array
from rigid.edits.attribute_header import FEATURES
from rigid.edits.code_map import CodeMap, to_tensors
from rigid.edits.limits import OVERDRIVE

STORED = (
    "name",
    "label",
    "group",
    "min",
    "max",
    "default",
    "unit",
    "source",
    "effect",
    "measure",
    "target",
    "identity",
)
DESCRIBED = (*STORED, "limit_min", "limit_max", "kind", "custom", "strip")
STRIP_URL = "/api/v1/attributes/{name}/strip.jpg?v={digest}"

Description = dict[str, str | float | bool | None]


@dataclass(frozen=True, eq=False)
class Attribute:
    """One edit: strength s adds s · (`direction` + `code_map`(codes)) to the codes, times `opposite` where s < 0.

    Where there is a `back`, that is -`direction` for s < 0. 0 is off; `min` to `max` is where it looks natural.
    """

    name: str
    label: str
    group: str
    min: float
    max: float
    default: float
    unit: str
    source: str
    direction: Array
    """The edit at strength 1 that is the same for all codes: float32 (n_codes, 512)."""
    effect: str = ""
    """What strength 1 does, measured on held-out generated faces."""
    opposite: float = 1.0
    """Length of the edit at strength -1, in lengths at 1."""
    back: Array | None = None
    """The edit at strength -1 before `opposite`, float32 (n_codes, 512), where it is more than the way back."""
    video_gain: float = 1.0
    """How much longer than other edits it is made in a stream."""
    motion: Array | None = None
    """How the landmarks move at strength 1 and at -1, (2, 478, 2) in crop sides."""
    motion_gain: float = 0.0
    """How much of that a stream adds to what is generated."""
    region: str = "face"
    """What it is meant for, one of `rigid.edits.attribute_header.REGIONS`."""
    changes: tuple[str, ...] = FEATURES
    """Which of `rigid.edits.attribute_header.FEATURES` it is meant to change."""
    order: int = 0
    """Where a list shows it: lower first."""
    code_map: CodeMap | None = None
    """The part of the edit that depends on the codes; None for a linear one, which costs less."""
    measure: str = ""
    """What `target` is measured as."""
    target: float | None = None
    """The amount by which strength 1 changes `measure`; None where it was not calibrated."""
    identity: float | None = None
    """Similarity of the face before and at strength 1; None where it was not measured."""
    custom: bool = False
    """Whether a user imported it."""

    @property
    def limit_min(self) -> float:
        """The least strength taken: below `min` it is flagged."""
        return min(self.min, -OVERDRIVE) if self.min < 0 else self.min

    @property
    def limit_max(self) -> float:
        """The greatest strength taken: above `max` it is flagged."""
        return max(self.max, OVERDRIVE) if self.max > 0 else self.max

    @property
    def kind(self) -> str:
        """`direction`, or `map` for an edit that depends on the codes."""
        return "direction" if self.code_map is None else "map"

    @property
    def strip(self) -> str:
        """The address where a server shows a face at its strengths, as a picture; another address once it changes."""
        return STRIP_URL.format(name=self.name, digest=self.digest)

    @cached_property
    def digest(self) -> str:
        """Names the edit and its range by their content."""
        digest = hashlib.sha256(repr((self.min, self.max, self.opposite)).encode())
        for direction in (self.direction, self.back):
            digest.update(b"" if direction is None else np.ascontiguousarray(direction).tobytes())
        if self.code_map is not None:
            digest.update(repr((self.code_map.scale, self.code_map.carried.tolist())).encode())
            for array in to_tensors(self.code_map.parts).values():
                digest.update(array.tobytes())
        return digest.hexdigest()[:12]

    def offset(self, strength: float, codes: Array | None = None) -> Array:
        """What `strength` adds to `codes` (B, n_codes, 512): float32 (n_codes, 512), or (B, n_codes, 512) for a map.

        `codes` may be left out for an edit without a map; ValueError with one.
        """
        length = np.float32(strength if strength > 0 else strength * self.opposite)
        if strength < 0 and self.back is not None:
            return -length * self.back
        if self.code_map is None:
            return length * self.direction
        if codes is None:
            raise ValueError(f"The attribute {self.name!r} depends on the codes it edits; give them.")
        return length * (self.direction + self.code_map(codes))

    def describe(self) -> Description:
        """What a client needs to build a slider, ready for JSON."""
        return {key: getattr(self, key) for key in DESCRIBED}
