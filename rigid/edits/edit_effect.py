"""What the edits in hand do to one frame, worked out once for it: how long each is made, and where it shows.

This is where an edit's strength is decided. `rigid.edits.ramp` moves what a viewer asks for over time; here it is faded
in with the face, made longer by as much as the noise map weakens it in a stream (`video_gain`, and `Sizes.edit_gain`
for all), and limited where several edits together go further than a face bears.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from rigid.arrays import Array
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_header import FEATURES
from rigid.edits.limits import restraint
from rigid.fields import smooth
from rigid.geometry import Points

FAINT = 0.1
"""Strength from which what an edit changes is shown in full where it is meant for: the hair, or anything else."""

Offset = Callable[[Array], Array]
"""From codes (B, n_codes, code_size) to what is added to them (Eq. 5): (n_codes, code_size), or one for each of them
where an edit depends on the codes."""


@dataclass(frozen=True, eq=False)
class EditEffect:
    """What edits do to one frame."""

    edits: Mapping[str, float] = field(default_factory=dict)
    """The strengths that are shown: as asked for, as far as they are faded in."""
    offsets: tuple[Offset, ...] = ()
    """Of each edited picture to generate: all edits, and where both hair and face are edited those of the face alone.

    None where the edits do no more than move the landmarks."""
    hair: float = 0.0
    """How far they are meant for the hair beyond the face, 0 to 1."""
    shares: Mapping[str, float] = field(default_factory=lambda: {"face": 1.0})
    """How far those that are generated are meant for the face as a whole, its lips, its eyes, 0 to 1, by region."""
    changes: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(FEATURES, 1.0))
    """How far they are meant to change each of `rigid.edits.attribute_header.FEATURES`, 0 to 1."""
    redrawn: Array | None = None
    """How far they draw each place of the crop anew, (n, n), 0 to 1, as `rigid.inversion` sees on the face at hand;
    None before it has."""
    motion: Points | None = None
    """How far they move the landmarks besides what is generated, (478, 2) in crop sides; None for not at all."""

    @property
    def face(self) -> float:
        """How far those that are generated are meant for anything but the hair, 0 to 1."""
        return max(self.shares.values(), default=0.0)

    @property
    def needs_features(self) -> bool:
        """Whether the features of a face are to be known: some of them stay, or lips are all that is edited."""
        return self.face > 0 and (min(self.changes.values()) < 1 or "lips" in self.shares)

    @property
    def expressed(self) -> Array | None:
        """How far what they draw anew is shown where a face gets another mouth, as `redrawn`; None for not at all.

        Not where eyes alone are edited: shut ones would open with another face's.
        """
        share = min(self.changes["mouth"], self.shares.get("face", 0.0))
        return np.float32(share) * self.redrawn if share and self.redrawn is not None else None

    @property
    def fringe(self) -> Array | None:
        """How far hair that they draw is shown where the face was, as `redrawn`; None for not at all."""
        return np.float32(self.hair) * self.redrawn if self.hair and self.redrawn is not None else None


FACE_ONLY = EditEffect()


class EditLibrary(Protocol):
    """Knows what edits do; `rigid.edits.library.AttributeLibrary` is one."""

    def effect(self, edits: Mapping[str, float], *, level: float = 1.0, gain: float = 1.0) -> EditEffect:
        """What `edits` {attribute: strength} do to a frame; ValueError for an unknown name.

        `level`: how far they are faded in, 0 to 1, which is eased, so that a short miss of the face hardly shows;
        `gain`: `Sizes.edit_gain` of the networks that make them.
        """


class _Edit(NamedTuple):
    attribute: Attribute
    strength: float
    generated: float
    """The strength to generate it with."""


def effect_of(strengths: Iterable[tuple[Attribute, float]], level: float = 1.0, gain: float = 1.0) -> EditEffect:
    """What attributes at strengths do to a frame; `level` and `gain` as `EditLibrary.effect` has them.

    At a gain of 1 no noise map weakens edits: none is made longer, and none moves landmarks in place of codes.
    """
    weakened = gain != 1
    shown = [(attribute, strength * smooth(level)) for attribute, strength in strengths]
    edits = [_Edit(one, strength, strength * one.video_gain if weakened else strength) for one, strength in shown]
    but_hair = [edit for edit in edits if edit.attribute.region != "hair"]
    hair = _share_shown(edit.strength for edit in edits if edit.attribute.region == "hair")
    shares = _shares_by_region(edit for edit in but_hair if edit.generated)
    pictures = [edits, but_hair] if hair and any(shares.values()) else [edits]
    by_motion_alone = any(edit.strength for edit in edits) and not any(edit.generated for edit in edits)
    return EditEffect(
        {edit.attribute.name: edit.strength for edit in edits},
        () if by_motion_alone else tuple(partial(_sum_offsets, picture, gain) for picture in pictures),
        hair,
        shares,
        {one: _share_shown(edit.strength for edit in edits if one in edit.attribute.changes) for one in FEATURES},
        motion=_motion(edits) if weakened else None,
    )


def _sum_offsets(edits: Sequence[_Edit], gain: float, codes: Array) -> Array:
    """What edits add to `codes`, limited as `rigid.edits.limits` says."""
    offsets = [edit.attribute.offset(edit.generated, codes) for edit in edits if edit.generated]
    if not offsets:
        return np.zeros(codes.shape[1:], np.float32)
    total: Array = np.float32(restraint(offsets)) * sum(offsets[1:], offsets[0])
    return np.float32(gain) * total


def _motion(edits: Sequence[_Edit]) -> Points | None:
    total: Array | None = None
    for attribute, strength, _ in edits:
        moved = None if attribute.motion is None else attribute.motion[int(strength < 0)]
        if strength and moved is not None and attribute.motion_gain and moved.any():
            moved = np.float32(abs(strength) * attribute.motion_gain) * moved
            total = moved if total is None else total + moved
    return total


def _shares_by_region(edits: Iterable[_Edit]) -> dict[str, float]:
    strengths: defaultdict[str, list[float]] = defaultdict(list)
    for edit in edits:
        strengths[edit.attribute.region].append(edit.strength)
    return {region: _share_shown(of_region) for region, of_region in strengths.items()}


def _share_shown(strengths: Iterable[float]) -> float:
    """How far what edits of these strengths change is shown: in full but where it hardly differs from nothing."""
    return min(1.0, max(map(abs, strengths), default=0.0) / FAINT)
