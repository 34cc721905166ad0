"""The edits a profile offers: their names, ranges and directions (Eq. 5, attribute-agnostic)."""

from __future__ import annotations

import difflib
import logging
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from rigid.edits.attribute import STORED, Attribute, Description
from rigid.edits.attribute_file import read_attribute
from rigid.edits.code_layouts import FAMILIES
from rigid.edits.edit_effect import EditEffect, effect_of
from rigid.edits.face_edits import part_faces, part_name
from rigid.edits.limits import restraint
from rigid.models.profiles import WEIGHTS, find_imported_folder, sizes_of

logger = logging.getLogger(__name__)
MOST_ATTRIBUTES = 500
USED = ("opposite", "video_gain", "motion_gain", "order", "region", "changes")
"""What an attribute takes of its file's header besides what is told of it."""


class AttributeLibrary:
    """Attributes of one profile by name, in the order given; more may be added from any thread."""

    def __init__(self, attributes: Sequence[Attribute], *, n_codes: int, code_size: int) -> None:
        self._shape = (n_codes, code_size)
        self._attributes: dict[str, Attribute] = {}
        self._changing = threading.Lock()
        for attribute in attributes:
            self.add(attribute)

    def add(self, attribute: Attribute) -> None:
        """Offer one more; ValueError when its name is taken or its size is another."""
        if attribute.direction.shape != self._shape:
            raise ValueError(
                f"The attribute {attribute.name!r} has a direction of {attribute.direction.shape}, "
                f"but this profile takes {self._shape}."
            )
        with self._changing:
            if attribute.name in self._attributes:
                raise ValueError(f"There are two attributes named {attribute.name!r}; rename one.")
            if len(self._attributes) >= MOST_ATTRIBUTES:
                raise ValueError(f"There are {MOST_ATTRIBUTES} attributes already; remove one first.")
            # replaced whole, so that who reads meanwhile sees the one or the other
            self._attributes = {**self._attributes, attribute.name: attribute}

    @property
    def shape(self) -> tuple[int, int]:
        """(n_codes, code_size)."""
        return self._shape

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

    def describe(self) -> list[Description]:
        """Describe every attribute as `attributes list --json` and `GET /api/v1/attributes` give it."""
        return [attribute.describe() for attribute in self]

    def validate(self, edits: Mapping[str, object]) -> dict[str, float]:
        """`edits` as plain floats.

        Raises ValueError, one sentence, for an unknown name, a strength that is not a finite number, or one
        outside what the attribute takes at all. What is beyond its natural range only is told by `warnings`.
        Names may have the number of a face before them, see `rigid.edits.face_edits`.
        """
        return {name: _check(self[part_name(name)[1]], value) for name, value in edits.items()}

    def warnings(self, edits: Mapping[str, float]) -> list[str]:
        """A sentence for each strength beyond where it looks natural, and for a sum that a stream holds back."""
        shared, single = part_faces(edits)
        faces = [shared, *(shared | own for own in single.values())]
        return list(dict.fromkeys(said for own in faces for said in self._warn_of(own)))

    def _warn_of(self, edits: Mapping[str, float]) -> list[str]:
        said = []
        for name, strength in edits.items():
            attribute = self[name]
            if not attribute.min <= strength <= attribute.max:
                said.append(
                    f"{name} at {strength:g} is beyond {attribute.min:g} to {attribute.max:g}, where it looks natural."
                )
        linear = [(self[name], strength) for name, strength in edits.items() if self[name].code_map is None]
        lengths = [(one, strength * one.video_gain) for one, strength in linear]
        share = restraint([one.offset(length) for one, length in lengths if length])
        if share < 1:
            said.append(f"Together the edits go further than a face bears; each is held back to {share:.0%}.")
        return said

    def effect(self, edits: Mapping[str, float], *, level: float = 1.0, gain: float = 1.0) -> EditEffect:
        """What `edits` do to a frame; see `rigid.edits.edit_effect.EditLibrary`."""
        return effect_of(((self[name], strength) for name, strength in edits.items()), level, gain)

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(str(name), self.names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"choose from: {', '.join(self.names) or 'none'}."
        return f"There is no attribute {name!r}; {hint}"


def _check(attribute: Attribute, value: object) -> float:
    allowed = f"give a number from {attribute.limit_min:g} to {attribute.limit_max:g}"
    # bool is an int to Python, but {"smile": true} is a mistake to its author
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise ValueError(f"The strength of {attribute.name!r} is {value!r}, which is not a number; {allowed}.")
    try:
        strength = float(value)
    except (OverflowError, TypeError):
        strength = math.nan
    if not math.isfinite(strength):
        raise ValueError(f"The strength of {attribute.name!r} is not a finite number; {allowed}.")
    if not attribute.limit_min <= strength <= attribute.limit_max:
        raise ValueError(f"The strength of {attribute.name!r} is {strength:g}, which is out of range; {allowed}.")
    return strength


def read_library(
    paths: Sequence[Path], *, n_codes: int, code_size: int, family: str = "", custom: Sequence[Path] = ()
) -> AttributeLibrary:
    """A library of attribute files in the order they ask for; ValueError naming the file when one is bad.

    `custom`: files that a user imported. They stand behind the others; one that is bad, or has the name of an
    attribute that ships since, is left out and logged. `family`: see `read_attribute`.
    """
    load = partial(load_attribute, n_codes=n_codes, code_size=code_size, family=family)
    shipped = sorted((load(path) for path in paths), key=lambda attribute: (attribute.order, attribute.name))
    library = AttributeLibrary(shipped, n_codes=n_codes, code_size=code_size)
    for path in custom:
        try:
            library.add(load(path, custom=True))
        except ValueError as error:
            logger.warning("The imported attribute %s is left out: %s", path, error)
    return library


def load_library(profile: str, *, custom: bool = True) -> AttributeLibrary:
    """The attributes shipped for `profile`, and those its user imported unless `custom` is false.

    ValueError for an unknown profile, or naming the file that is bad.
    """
    sizes = sizes_of(profile)
    return read_library(
        sorted((WEIGHTS / profile / "attributes").glob("*.safetensors")),
        n_codes=sizes.n_codes,
        code_size=sizes.code_size,
        family=FAMILIES.get(profile, ""),
        custom=sorted(custom_folder(profile).glob("*.safetensors")) if custom else (),
    )


def custom_folder(profile: str) -> Path:
    """Return where the attributes that a user imported for `profile` lie."""
    return find_imported_folder(profile) / "attributes"


def load_attribute(path: Path, *, n_codes: int, code_size: int, family: str = "", custom: bool = False) -> Attribute:
    """The attribute in a file that bears its name; ValueError naming the file when it cannot be used."""
    stored = read_attribute(path, n_codes=n_codes, code_size=code_size, family=family)
    header = stored.header
    if header.name != path.stem:
        raise ValueError(f"{path.name}: the attribute inside is named {header.name!r}; rename the file to match.")
    values = {key: getattr(header, key) for key in (*STORED, *USED)}
    parts = {key: getattr(stored, key) for key in ("direction", "code_map", "motion", "back")}
    return Attribute(custom=custom, **parts, **values)
