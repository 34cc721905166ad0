"""One frame on its way through a stream's stages: each fills in what it finds or makes, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.composite.compositor import Faces
from rigid.edits.edit_effect import FACE_ONLY, EditEffect
from rigid.edits.face_edits import ONLY_FACE
from rigid.fields import from_pixels
from rigid.geometry import Points, Transform, apply, inverse
from rigid.stopwatch import Stopwatch


@dataclass(frozen=True)
class Sighting:
    """Where the face is: seen in this frame, or followed from the last one for as long as its edit fades."""

    transform: Transform
    """Frame → crop."""
    landmarks: Points
    """(478, 2), crop pixels."""
    crop: Pixels
    """(S, S, 3)."""
    frame_shape: tuple[int, ...]
    faces: int = 1
    """How many are in the frame, this one among them."""

    @cached_property
    def real(self) -> Array:
        """The crop as pictures are blended: float32 (S, S, 3) in [-1, 1]."""
        return from_pixels(self.crop)

    @cached_property
    def inputs(self) -> Array:
        """The crop as networks take pictures: float32 (1, 3, S, S) in [-1, 1]."""
        # as bytes, its channels are parted four times as fast
        return from_pixels(np.stack(cv2.split(self.crop)))[None]

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the landmarks, frame pixels; they may lie beyond the frame."""
        points = apply(inverse(self.transform), self.landmarks)
        left, top = points.min(0)
        right, bottom = points.max(0)
        return float(left), float(top), float(right), float(bottom)

    def landmarks_in(self, transform: Transform) -> Points:
        """The landmarks in another crop of the same frame, `transform`: frame → that crop."""
        return apply(transform, apply(inverse(self.transform), self.landmarks)).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class Guardable:
    """What goes through stages of which each may fail."""

    fault: Exception | None = None
    """Why a stage failed; those after it then do nothing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameRecord(Guardable):
    """A frame and what is known of it so far."""

    frame: Pixels
    """RGB (H, W, 3)."""
    timestamp: float
    """Seconds at which it is shown."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    """What the stages took."""
    hurried: bool = False
    """Whether there is less time for it than there was for the last one."""
    face: bool = False
    """Whether one was found."""
    sighting: Sighting | None = None
    """Where it was found or, by `generate`, where a lost one has gone."""
    faults: int = 0
    """How many frames were known not to have been blended when this one was generated."""
    level: float = 0.0
    """How far the edit is faded in; 0 where nothing is to be blended."""
    effect: EditEffect = FACE_ONLY
    """What the edits do to it."""
    pictures: Array | None = None
    """The inverted and the edited face, maybe a third, see `rigid.inversion.inverter`; None for nothing to blend."""
    parts: Array | None = None
    """What the face parser makes of the real and of the edited face, (2, C, n, n); None without one."""
    inferred: bool = False
    """Whether the inverted face was told from the edited one (`rigid.inversion.edit_change`)."""
    drawn_fault: Array | None = None
    """e (`rigid.composite.compositor`) of the frame before where its inverted face was drawn after it was shown."""
    pictures_reused: bool = False
    """Whether the pictures were made for an earlier frame."""
    starts_over: bool = True
    """Whether nothing that earlier frames left is to be blended with."""
    shown: Pixels | None = None
    """The frame with its edit; None where it passes as it came."""
    faces: Faces | None = None
    """The aligned faces behind it."""
    covered: float = 0.0
    """What share of an edited face something else lies before, 0 to 1, as far as a face parser can tell."""
    nearer: tuple[Sighting, ...] = ()
    """Other faces of the frame that may lie before this one."""

    @property
    def members(self) -> Mapping[int, FrameRecord]:
        """What is known of each face, by its number; a stream of one face calls it `ONLY_FACE`."""
        return {ONLY_FACE: self}


Guarded = TypeVar("Guarded", bound=Guardable)


def guard(record: Guarded, stage: Callable[[Guarded], Guarded]) -> Guarded:
    """What `stage` makes of `record`; one that fails, here or in a stage before, only passes."""
    if record.fault is not None:
        return record
    try:
        return stage(record)
    # whatever a tracker, an engine, a filter or a codec raises, the viewer keeps a picture
    except Exception as error:
        return replace(record, fault=error)
