"""The mouth, eyes and brows of the real face, where an edit is not meant to move them: kept, in the edit's colours.

An age, a beard or make-up says nothing of what a mouth does, and what O and E show of it is what the codes make of it:
bared teeth become lips, lids that are shut open, raised brows are drawn a second time below. The real ones stay, and
take from the edit what it changes of their light; so do the ears, which are drawn nowhere else.

Maps are float32 (n, n) in [0, 1] at the size of the parser's, pictures float32 (n, n, 3) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from rigid.arrays import Array
from rigid.composite.paste import repeat_for_colours
from rigid.face.masks import union
from rigid.fields import blur, ramp, rise

NEIGHBOURS = np.ones((3, 3), np.uint8)
EDGE_SIGMA = 0.7
"""How soft their edge is, pixels of the map."""
EARS = (0.6, 1.0)
"""Blurred share of the ears from which a place begins to count, and counts: what lies behind them is not to be lit."""
OTHER_EYES = (0.25, 0.4)
"""Share of the places of eyes that either face has and the other has not, from which the lids begin to stay the real
ones, too, and do so."""
SKIN_SIGMA = 2.0
"""How far skin beside them gives its colour to what is kept of skin, pixels of the map."""
FAR_SHARE = np.float32(0.1)
"""The share of all skin where there is none so near."""
DARK = np.float32(0.005)
"""Light, from 0 to 2, that is added to what is compared."""
FEW = np.float32(10.0)
"""Places of a part that say as much of its colour as the skin does: of fewer, it would tremble from frame to frame."""
MOST_GAIN = np.float32(2.5)
OUTLINED = ("lips", "mouth", "eyes")
"""The parts whose outline in E is not to be left, either. Round brows are lids and a forehead that show an age:
with theirs gone as well, `age` at 1 was 18.0 years for 19.8."""
MOVING = (*OUTLINED, "brows")
"""The parts that an expression moves."""
KEPT = (*MOVING, "ears")
SEEN = (*KEPT, "skin", "glasses")
"""The parts that are to be known."""
UNCOLOURED = [KEPT.index(name) for name in ("mouth", "eyes")]
"""The parts that an edit gives no colour: eyes and teeth get no more than lighter or darker."""


@dataclass(frozen=True, eq=False)
class Features:
    """What stays of I: wherever I or E have lips, a mouth's inside, eyes or brows, and where I has ears."""

    places: Mapping[str, Array]
    """Where each of `rigid.edits.attribute_header.FEATURES` is."""
    ears: Array
    """Where the ears are."""
    skin: Array
    """Where both have skin."""
    real: Array
    """Where I has each of `KEPT`, (5, n, n)."""
    told: Array
    """Where E tells what an edit makes of each, (5, n, n)."""

    @cached_property
    def kept(self) -> Array:
        """All of it."""
        return union(*self.places.values(), self.ears)

    def keep(self, changes: Mapping[str, float]) -> Array:
        """What stays under edits that are meant to change each of the features as far as `changes` says, 0 to 1."""
        ears = np.float32(1 - min(changes.values())) * self.ears
        return union(ears, *(np.float32(1 - changes[name]) * place for name, place in self.places.items()))

    @property
    def lips(self) -> Array:
        """The lips of I."""
        lips: Array = self.real[KEPT.index("lips")]
        return lips

    def gain(self, before: Array, after: Array) -> Array:
        """By how much an edit, from O to E, `before` and `after`, makes what is kept lighter, of each colour (n, n, 3).

        It is the same all over a part; of skin that E covers with another part, as of the skin beside it.
        """
        skin = repeat_for_colours(self.skin * (1 - self.kept))
        gain = _divide(*(_light_near(skin * (one + 1)) for one in (before, after)))
        lighter = _divide(*(self._light_of_parts(one + 1) for one in (before, after)))
        lighter[UNCOLOURED] = lighter[UNCOLOURED].mean(1, keepdims=True)
        gain *= repeat_for_colours(1 - self.real.sum(0))
        gain += (self.real.reshape(len(KEPT), -1).T @ lighter).reshape(gain.shape)
        return np.clip(gain, 1 / MOST_GAIN, MOST_GAIN)

    def _light_of_parts(self, light: Array) -> Array:
        """The mean of `light` (n, n, 3) in each part, (5, 3), nearer to the skin's the smaller the part is."""
        parts = self.told.reshape(len(KEPT), -1)
        sums, sizes = parts @ light.reshape(-1, 3), parts.sum(1)[:, None]
        skin = sums[KEPT.index("ears")] / (sizes[KEPT.index("ears")] + 1)
        means: Array = (sums + FEW * skin) / (sizes + FEW) + DARK
        return means


def _light_near(light: Array) -> Array:
    """`light` (n, n, 3) of skin, as it is near each place, and where there is none near, as it is on the whole."""
    near: Array = blur(light, SKIN_SIGMA) + (FAR_SHARE * light.mean((0, 1)) + DARK)
    return near


def _divide(before: Array, after: Array) -> Array:
    ratio: Array = after / before
    return ratio


def find_features(real: Mapping[str, Array], edited: Mapping[str, Array]) -> Features:
    """The features by the share of each of `SEEN` in I and in E; none of the face behind glasses.

    What an edit makes of the ears is told by the skin: those of E are often in the shadow, or under hair.
    """
    clear = 1 - np.maximum(real["glasses"], edited["glasses"])
    places = {name: place * clear for name, place in _find_places(real, edited).items()}
    ears = ramp(blur(real["ears"], EDGE_SIGMA), *EARS)
    both = [np.minimum(real[name], edited[name]) for name in (*MOVING, "skin")]
    return Features(places, ears, both[-1], np.stack([real[name] for name in KEPT]), np.stack(both))


def _find_places(real: Mapping[str, Array], edited: Mapping[str, Array]) -> Mapping[str, Array]:
    """Where either has each feature, and round those that E has elsewhere: their outline is not to be left there.

    Round the others is what edits draw beside them: lashes, lids, a beard up to the lip.
    """
    shown = {name: np.maximum(real[name], edited[name]) for name in MOVING}
    moved = {name: np.abs(real[name] - edited[name]) for name in OUTLINED}
    # eyes that are as open as the real ones are the edit's but for where both have them: an age is seen in the lids
    other = np.float32(rise(float(moved["eyes"].sum()) / max(float(shown["eyes"].sum()), 1.0), *OTHER_EYES))
    places = {
        "mouth": union(shown["lips"], shown["mouth"], _outline(union(moved["lips"], moved["mouth"]))),
        "lids": other * union(shown["eyes"], _outline(moved["eyes"])),
        "eyes": (1 - other) * (shown["eyes"] - moved["eyes"]),
        "brows": shown["brows"],
    }
    return {name: blur(place, EDGE_SIGMA) for name, place in places.items()}


def _outline(moved: Array) -> Array:
    outline: Array = np.minimum(2 * np.asarray(cv2.dilate(moved, NEIGHBOURS), np.float32), 1)
    return outline
