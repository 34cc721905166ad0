"""What to look for: each attribute's measure, what must not change with it, and how strong 1.0 is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How one attribute is discovered."""

    name: str
    label: str
    group: str
    measure: str
    """The measure the direction is fitted to and its strength is set by."""
    change: float
    """By how much strength 1 raises the measure, on faces that have room for it."""
    effect: str
    """What strength 1 does, for people; `{}` takes the measured change."""
    controls: tuple[str, ...]
    """Measures that must stay as they are."""
    spans: tuple[tuple[int, int], ...]
    """First and last level (0 is 4×4) the edit may use; the best of these is taken."""
    order: int
    """Where a list shows it: lower first."""
    opposite: float = 1.0
    """Length of the edit at strength -1, in lengths at 1: less where the way back is shorter."""
    ceiling: float = float("inf")
    """Faces that have room: those whose measure is at most this."""


POSE = ("yaw", "pitch", "roll")
LOOKS = ("age", "male", "glasses", "light")
RECIPES = (
    Recipe(
        name="smile",
        label="Smile",
        group="expression",
        measure="smile",
        change=0.6,
        effect="{} of the smile blendshape",
        controls=(*POSE, *LOOKS, "eyes_closed", "brow_up"),
        order=10,
        spans=((1, 2), (1, 3), (2, 3)),
        ceiling=0.5,
    ),
    Recipe(
        name="mouth_open",
        label="Mouth open",
        group="expression",
        measure="mouth_open",
        change=0.4,
        effect="{} of the jaw-open blendshape",
        controls=(*POSE, *LOOKS, "smile", "eyes_closed", "brow_up"),
        order=20,
        spans=((1, 2), (1, 3), (0, 2)),
        opposite=0.5,
        ceiling=0.3,
    ),
    Recipe(
        name="age",
        label="Age",
        group="age",
        measure="age",
        change=20.0,
        effect="{} years",
        controls=(*POSE, "male", "glasses", "light", "smile", "mouth_open", "eyes_closed"),
        order=30,
        spans=((1, 3), (2, 3), (2, 4)),
        ceiling=60.0,
    ),
    Recipe(
        name="yaw",
        label="Turn",
        group="pose",
        measure="yaw",
        change=15.0,
        effect="{}° of turn towards the right edge of the picture",
        controls=("pitch", "roll", *LOOKS, "smile", "mouth_open", "eyes_closed"),
        order=40,
        spans=((0, 1), (0, 2), (1, 3)),
    ),
)
