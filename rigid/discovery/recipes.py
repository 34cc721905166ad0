"""What to look for: each attribute's measure, what must not change with it, and how strong 1.0 is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rigid.discovery.labels import unit_of

Spans = tuple[tuple[int, int], ...]
HELD_STILL = (
    *("yaw", "pitch", "roll"),
    *("age", "male", "glasses", "light", "tan"),
    *("smile", "mouth_open", "eyes_closed", "brow_up"),
)
"""What an edit must leave alone unless it is `free` to change it."""
HEAD_STILL = (*HELD_STILL, "grey", "bald")
"""The same, for edits that would else come with an old man's head."""
SHAPE: Spans = ((1, 2), (1, 3))
DEEP: Spans = ((0, 2), (1, 2))
POSE: Spans = ((0, 1), (0, 2))
HAIR: Spans = ((1, 3), (1, 4))
COLOUR: Spans = ((2, 4), (3, 4))


@dataclass(frozen=True)
class Recipe:
    """How one attribute is discovered."""

    name: str
    label: str
    group: str
    measure: str
    """The measure its strength is set by, and the direction is fitted to, unless it has `aims`."""
    change: float
    """The amount by which strength 1 raises the measure, on faces that have room for it."""
    spans: Spans
    """First and last level (0 is 4×4) the edit may use; the best of these is taken."""
    two_way: bool = False
    """Whether it runs to -1, where the measure falls by as much; else from 0."""
    ceiling: float = math.inf
    """Faces that have room: those whose measure is at most this."""
    floor: float = -math.inf
    """Faces that have room for the way back: those whose measure is at least this."""
    free: tuple[str, ...] = ()
    """Measures of `HELD_STILL` that go with it by nature."""
    order: int = 0
    """Where a list shows it: lower first."""
    held: tuple[str, ...] = HELD_STILL
    aims: tuple[tuple[str, float], ...] = ()
    """Measures that the direction is fitted to in place of its own, and how much of each, in standard deviations."""
    without: tuple[str, ...] = ()
    """Other attributes whose edits are taken out of its own; their measures are best left `free`."""
    joined: tuple[tuple[str, float], ...] = ()
    """Other attributes whose edits are then added to its own, and how much of each."""
    region: str = ""
    """What it is meant for, one of `rigid.edits.attribute_header.REGIONS`; empty for what its group says."""
    changes: tuple[str, ...] | None = None
    """Those of `rigid.edits.attribute_header.FEATURES` it is meant to change; None for what its group says."""
    moves: str = ""
    """What a stream moves of the real face: its `lips` or the whole `face` as generated ones do, its `brows`, `eyes` or
    the `corners` of its mouth as `rigid.discovery.pulls` says; empty for nothing."""

    @property
    def controls(self) -> tuple[str, ...]:
        """Measures that must stay as they are."""
        return tuple(name for name in self.held if name not in (self.measure, *self.free, *dict(self.aims)))

    def effect(self, reached: float | None) -> str:
        """What strength 1 does, for people, where it changes the measure by `reached`; empty if unknown."""
        return "" if reached is None else f"{reached:+.2g} {unit_of(self.measure)}"


_IN_ORDER = (
    Recipe(
        "smile", "Smile", "expression", "smile", 0.6, SHAPE, two_way=True, ceiling=0.35, floor=0.65, moves="corners"
    ),
    Recipe(
        "frown", "Frown", "expression", "brow_down", 0.145, SHAPE, ceiling=0.4, free=("smile", "brow_up"), moves="brows"
    ),
    Recipe(
        "surprise",
        "Surprise",
        "expression",
        "surprise",
        0.16,
        DEEP,
        ceiling=0.2,
        free=("mouth_open", "brow_up"),
        joined=(("mouth_open", 0.93),),
        moves="face",
    ),
    Recipe("mouth_open", "Mouth open", "expression", "mouth_open", 0.4, ((1, 3),), ceiling=0.2),
    Recipe("lips_pucker", "Pucker", "expression", "pucker", 0.11, SHAPE, ceiling=0.3, free=("smile",), moves="lips"),
    Recipe("eyes_open", "Eyes wide", "expression", "eye_opening", 0.115, SHAPE, free=("eyes_closed",), region="eyes"),
    Recipe("eyes_closed", "Eyes closed", "expression", "eyes_closed", 0.42, SHAPE, ceiling=0.3, region="eyes"),
    Recipe("brow_raise", "Brows raised", "expression", "brow_up", 0.25, SHAPE, ceiling=0.3, changes=("brows",)),
    Recipe(
        "squint",
        "Squint",
        "expression",
        "squint",
        0.153,
        SHAPE,
        ceiling=0.6,
        free=("eyes_closed",),
        moves="face",
        region="eyes",
    ),
    Recipe("age", "Age", "age", "age", 14.0, ((1, 3), (2, 4)), two_way=True, ceiling=55.0, floor=30.0),
    Recipe(
        "gender",
        "Gender",
        "age",
        "male",
        3.5,
        SHAPE,
        two_way=True,
        ceiling=0.0,
        floor=0.0,
        changes=("eyes", "brows"),
    ),
    Recipe("face_width", "Face width", "shape", "face_width", 0.1, DEEP, two_way=True, moves="face"),
    Recipe("jaw", "Jaw", "shape", "jaw", 0.03, SHAPE, two_way=True, moves="face"),
    Recipe("nose_size", "Nose size", "shape", "nose_size", 0.045, SHAPE, two_way=True, moves="face"),
    Recipe("eye_size", "Eye size", "shape", "eye_size", 0.015, SHAPE, two_way=True, moves="eyes"),
    Recipe("lip_size", "Lip size", "shape", "lip_size", 0.033, SHAPE, two_way=True, moves="face"),
    Recipe("beard", "Beard", "beard", "bearded", 2.5, HAIR, ceiling=-0.85, held=HEAD_STILL, aims=(("beard", 1.0),)),
    Recipe("mustache", "Mustache", "beard", "mustache", 0.45, HAIR, ceiling=0.3),
    Recipe("glasses", "Glasses", "accessories", "glasses", 0.52, DEEP, ceiling=0.2),
    # What the classifier calls blond is light first of all: by it alone, black hair becomes grey.
    Recipe(
        "hair_blond",
        "Blond hair",
        "hair",
        "blondness",
        4.4,
        COLOUR,
        ceiling=-0.85,
        aims=(("hair_lightness", 1.1), ("hair_yellowness", 2.0), ("blondness", 1.0), ("greyness", -0.5)),
    ),
    Recipe(
        "hair_grey",
        "Grey hair",
        "hair",
        "greyness",
        1.6,
        COLOUR,
        ceiling=-0.85,
        aims=(("hair_lightness", 1.8), ("hair_yellowness", 0.6), ("hair_redness", -0.3)),
    ),
    Recipe("hair_dark", "Dark hair", "hair", "darkness", 1.5, COLOUR, ceiling=-0.4),
    Recipe("bangs", "Bangs", "hair", "bangs", 0.4, ((1, 3),), ceiling=0.3),
    Recipe("bald", "Bald", "hair", "bald", 0.25, HAIR, ceiling=0.3, held=(*HELD_STILL, "grey", "chubby")),
    Recipe("lipstick", "Lipstick", "make-up", "lip_colour", 10.0, COLOUR, ceiling=22.0, region="lips"),
    Recipe(
        "heavy_makeup",
        "Heavy make-up",
        "make-up",
        "made_up",
        1.4,
        ((2, 4),),
        ceiling=-0.4,
        free=("male", "age"),
        without=("gender",),
        joined=(("eye_shadow", 1.0), ("lipstick", 0.5)),
    ),
    Recipe("eye_shadow", "Eye shadow", "make-up", "eye_shadow", 8.0, COLOUR),
    Recipe("skin_tone", "Skin tone", "make-up", "tan", 30.0, COLOUR, two_way=True),
    Recipe("rosy_cheeks", "Rosy cheeks", "make-up", "rosiness", 4.5, COLOUR),
    Recipe("light", "Light", "light", "light", 0.12, COLOUR, two_way=True, free=("tan",)),
    Recipe("yaw", "Turn", "pose", "yaw", 15.0, POSE, two_way=True, moves="face"),
    Recipe("pitch", "Nod", "pose", "pitch", 10.0, POSE, two_way=True, moves="face"),
)
RECIPES = tuple(replace(recipe, order=10 * (1 + i)) for i, recipe in enumerate(_IN_ORDER))
