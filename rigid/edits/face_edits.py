"""Edits that are meant for one face of several: named `NUMBER:ATTRIBUTE`, beside those that are meant for all."""

from __future__ import annotations

from collections.abc import Mapping

BETWEEN = ":"
ONLY_FACE = 1
"""The number of the face of a stream that edits one alone."""


def name_for_face(number: int, attribute: str) -> str:
    """The name under which the strength of `attribute` for the face with that number stands among others."""
    return f"{number}{BETWEEN}{attribute}"


def part_name(name: str) -> tuple[int | None, str]:
    """The number of the face that a name is meant for, None for all, and the attribute's name."""
    number, between, attribute = name.partition(BETWEEN)
    return (int(number), attribute) if between and number.isdecimal() else (None, name)


def part_faces(edits: Mapping[str, float]) -> tuple[dict[str, float], dict[int, dict[str, float]]]:
    """What of `edits` is meant for all faces, and what for single ones, by their numbers."""
    shared: dict[str, float] = {}
    single: dict[int, dict[str, float]] = {}
    for name, strength in edits.items():
        number, attribute = part_name(name)
        own = shared if number is None else single.setdefault(number, {})
        own[attribute] = strength
    return shared, single


def join_faces(shared: Mapping[str, float], single: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """What `part_faces` parts, together again."""
    own = {name_for_face(number, name): value for number, edits in single.items() for name, value in edits.items()}
    return {**shared, **own}


def edits_of_face(edits: Mapping[str, float], number: int) -> dict[str, float]:
    """The strengths for one face: its own where there are any, else those for all."""
    shared, single = part_faces(edits)
    return shared | single.get(number, {})
