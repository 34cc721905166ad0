"""Groups of people that a face is counted to by its looks: skin tone, apparent age, gender presentation, glasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.discovery.labels import StagedLabeller
from rigid.discovery.regions import CHEEKS, PLAIN_SKIN, lab_of, mean_colour
from rigid.training.occluders.hands import MONK_TONES

TONE_GROUPS = ("1-4", "5", "6", "7-10")
"""The groups of Monk tones: those that most cheeks and foreheads in photographs come nearest to stand alone."""
_LAST = (4, 5, 6, 10)
_MONK_LAB = lab_of(MONK_TONES[None].astype(np.uint8))[0]
AGES = ("under 30", "30 to 49", "50 and over")
_AGE_LIMITS = (30, 50)
GENDERS = ("feminine", "masculine")
GLASSES_GROUPS = ("no glasses", "glasses")
AXES = {"skin tone": TONE_GROUPS, "apparent age": AGES, "gender presentation": GENDERS, "glasses": GLASSES_GROUPS}
"""What is grouped by, and the groups."""

Groups = dict[str, str]
"""The group of one person on every axis."""


def groups_of(image: Pixels, labeller: StagedLabeller) -> tuple[Groups, Array] | None:
    """The groups of an aligned face, RGB (S, S, 3), and its measures; None where no face is found in it."""
    seen = labeller.observe(image[None])
    labels = labeller.measure(image[None], seen)[0]
    landmarks = seen["landmarks"][0]
    tone = monk_tone(image, landmarks) if np.isfinite(landmarks).all() else 0
    if not tone or not np.isfinite(labels).all():
        return None
    measured = dict(zip(labeller.measures, labels.tolist(), strict=True))
    return name_groups(tone, measured), labels


def name_groups(tone: int, measured: Mapping[str, float]) -> Groups:
    """The groups of a face with the Monk `tone` and the measures `age`, `male` and `glasses`."""
    return {
        "skin tone": tone_group(tone),
        "apparent age": AGES[sum(measured["age"] >= limit for limit in _AGE_LIMITS)],
        "gender presentation": GENDERS[measured["male"] > 0],
        "glasses": GLASSES_GROUPS[measured["glasses"] > 0.5],
    }


def monk_tone(image: Pixels, landmarks: Array) -> int:
    """The Monk tone, 1 to 10, nearest in CIE Lab to the mean colour of both cheeks and the forehead.

    `image` RGB (H, W, 3), `landmarks` (478, 2) in its pixels; 0 where none of that lies in the picture.
    """
    parts = (landmarks[list(part)] for part in (*CHEEKS, PLAIN_SKIN[0]))
    colour = mean_colour(lab_of(image), *parts)
    return nearest_tone(colour) if np.isfinite(colour).all() else 0


def nearest_tone(colour: Array) -> int:
    """The Monk tone, 1 to 10, nearest to a Lab `colour` (3,)."""
    return int(np.linalg.norm(_MONK_LAB - colour, axis=1).argmin()) + 1


def tone_group(tone: int) -> str:
    """Which of `TONE_GROUPS` a Monk tone, 1 to 10, belongs to."""
    assert 1 <= tone <= 10, tone
    return next(group for group, last in zip(TONE_GROUPS, _LAST, strict=True) if tone <= last)


class Balance:
    """Takes faces until each bin, a skin tone with a gender presentation, has its equal part."""

    def __init__(self, count: int) -> None:
        """`count`: how many faces in all."""
        bins: Sequence[tuple[str, str]] = [(tone, gender) for tone in TONE_GROUPS for gender in GENDERS]
        self._room = {one: count // len(bins) + (i < count % len(bins)) for i, one in enumerate(bins)}

    @property
    def full(self) -> bool:
        """Whether no more faces are wanted."""
        return not any(self._room.values())

    def takes(self, groups: Groups) -> bool:
        """Whether a face of these `groups` is still wanted; if so, it is counted."""
        one = groups["skin tone"], groups["gender presentation"]
        if not self._room[one]:
            return False
        self._room[one] -= 1
        return True
