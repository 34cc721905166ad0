"""The edits a profile offers: their names, ranges and directions (Eq. 5, attribute-agnostic)."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rigid.attributes.format import read_attribute

Array = NDArray[np.float32]
DESCRIBED = ("name", "label", "group", "min", "max", "default", "unit", "source", "effect")


@dataclass(frozen=True, eq=False)
class Attribute:
    """One edit: strength s adds s · `direction` to the codes, times `opposite` where s is negative; 0 is off."""

    name: str
    label: str
    group: str
    min: float
    max: float
    default: float
    unit: str
    source: str
    direction: Array
    """The edit at strength 1: float32 (n_codes, 512)."""
    effect: str = ""
    """What strength 1 does, measured on held-out generated faces."""
    opposite: float = 1.0
    """Length of the edit at strength -1, in lengths at 1."""
    order: int = 0
    """Where a list shows it: lower first."""

    def offset(self, strength: float) -> Array:
        """What `strength` adds to the codes: float32 (n_codes, 512)."""
        length = strength if strength > 0 else strength * self.opposite
        return np.float32(length) * self.direction

    def describe(self) -> dict[str, str | float]:
        """What a client needs to build a slider, ready for JSON."""
        return {key: getattr(self, key) for key in DESCRIBED}


class AttributeLibrary:
    """Attributes of one profile by name, in the order given."""

    def __init__(self, attributes: Sequence[Attribute], *, n_codes: int, code_size: int) -> None:
        self._shape = (n_codes, code_size)
        self._attributes: dict[str, Attribute] = {}
        for attribute in attributes:
            self._add(attribute)

    def _add(self, attribute: Attribute) -> None:
        if attribute.name in self._attributes:
            raise ValueError(f"There are two attributes named {attribute.name!r}; rename one.")
        if attribute.direction.shape != self._shape:
            raise ValueError(
                f"The attribute {attribute.name!r} has a direction of {attribute.direction.shape}, "
                f"but this profile takes {self._shape}."
            )
        self._attributes[attribute.name] = attribute

    @property
    def names(self) -> list[str]:
        """The attributes' names, in order."""
        return list(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self._attributes.values())

    def __contains__(self, name: object) -> bool:
        return name in self._attributes

    def __getitem__(self, name: str) -> Attribute:
        """The attribute `name`; ValueError, offering the closest name, when there is none."""
        if name not in self._attributes:
            raise ValueError(self._unknown(name))
        return self._attributes[name]

    def describe(self) -> list[dict[str, str | float]]:
        """Every attribute as `attributes list --json` and `GET /api/v1/attributes` give it."""
        return [attribute.describe() for attribute in self]

    def validate(self, edits: Mapping[str, object]) -> dict[str, float]:
        """`edits` as plain floats.

        Raises ValueError, one sentence, for an unknown name, a strength that is not a finite number, or one
        outside the attribute's range.
        """
        return {name: _checked(self[name], value) for name, value in edits.items()}

    def offset(self, edits: Mapping[str, float]) -> Array:
        """What `edits` add to the codes (Eq. 5): float32 (n_codes, 512)."""
        total = np.zeros(self._shape, np.float32)
        for name, strength in edits.items():
            if strength:
                total += self[name].offset(strength)
        return total

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(str(name), self.names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"choose from: {', '.join(self.names) or 'none'}."
        return f"There is no attribute {name!r}; {hint}"


def _checked(attribute: Attribute, value: object) -> float:
    allowed = f"give a number from {attribute.min:g} to {attribute.max:g}"
    # bool is an int to Python, but {"smile": true} is a mistake to its author
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise ValueError(f"The strength of {attribute.name!r} is {value!r}, which is not a number; {allowed}.")
    try:
        strength = float(value)
    except (OverflowError, TypeError):
        strength = math.nan
    if not math.isfinite(strength):
        raise ValueError(f"The strength of {attribute.name!r} is not a finite number; {allowed}.")
    if not attribute.min <= strength <= attribute.max:
        raise ValueError(f"The strength of {attribute.name!r} is {strength:g}, which is out of range; {allowed}.")
    return strength


def read_library(paths: Sequence[Path], *, n_codes: int, code_size: int) -> AttributeLibrary:
    """A library of attribute files in the order they ask for; ValueError naming the file when one is bad."""
    attributes = sorted((_load(path, n_codes, code_size) for path in paths), key=lambda a: (a.order, a.name))
    return AttributeLibrary(attributes, n_codes=n_codes, code_size=code_size)


def load_library(profile: str) -> AttributeLibrary:
    """The attributes shipped for `profile`; ValueError for an unknown profile."""
    # imported here, as it brings PyTorch, which listing a library made by hand does not need
    from rigid.models.build import WEIGHTS, sizes_of

    sizes = sizes_of(profile)
    paths = list((WEIGHTS / profile / "attributes").glob("*.safetensors"))
    return read_library(paths, n_codes=sizes.n_codes, code_size=sizes.code_size)


def _load(path: Path, n_codes: int, code_size: int) -> Attribute:
    header, direction = read_attribute(path, n_codes=n_codes, code_size=code_size)
    if header.name != path.stem:
        raise ValueError(f"{path.name}: the attribute inside is named {header.name!r}; rename the file to match.")
    values = {key: getattr(header, key) for key in (*DESCRIBED, "opposite", "order")}
    return Attribute(direction=direction, **values)
