"""What the composite has to know of an edit."""

from __future__ import annotations

from dataclasses import dataclass

from rigid.geometry import Points


@dataclass(frozen=True, eq=False)
class Reach:
    """How far an edit goes."""

    forehead: float = 0.0
    """How far it covers the forehead, as bangs do, 0 to 1."""
    hair: float = 0.0
    """How far it is meant for the hair beyond the face, 0 to 1."""
    face: float = 1.0
    """How far it is meant for anything but the hair, 0 to 1."""
    motion: Points | None = None
    """By how much it moves the landmarks besides what is generated, (478, 2) in crop sides; None for not at all."""


FACE_ONLY = Reach()
