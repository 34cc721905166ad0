"""Groups of people that a face is counted to by its looks: skin tone, apparent age, gender presentation, glasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.discovery.labels import StagedLabeller
from rigid.evaluation.skin_tone import TONE_GROUPS, monk_tone, tone_group

AGES = ("under 30", "30 to 49", "50 and over")
_AGE_LIMITS = (30, 50)
GENDERS = ("feminine", "masculine")
GLASSES = ("no glasses", "glasses")
AXES = {"skin tone": TONE_GROUPS, "apparent age": AGES, "gender presentation": GENDERS, "glasses": GLASSES}
"""What is grouped by, and the groups."""

Groups = dict[str, str]
"""Of one person: the group on every axis."""


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
        "glasses": GLASSES[measured["glasses"] > 0.5],
    }


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
