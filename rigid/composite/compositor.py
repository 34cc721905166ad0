"""How the edited face gets onto the real one.

With I the real aligned face, O the inverted, E the edited one, M the feathered mask of Eq. 6 and G a Gaussian:

- `change`: I + M · (1 - k) · (E + l - I), Eq. 7 with its mask drawn back where the edit changed nothing. k says how far
  the real face stays: exp(-(d / (τ + e))²), with d how much E differs from O, and e how much O differs from I in more
  than colour: where O shows another mouth than I, E does, too, and only a larger change is worth it. Where O is
  inferred, e is the last drawn one's. k is 0 where a face that gets another mouth is drawn anew. l = G(I - O) brings
  the real one's colours.
  Edits of the hair are drawn in the same way over the face, inside a mask of the hair.
- `paper`: M · E + (1 - M) · I, Eq. 7 itself: another, smoother person wherever the mask is.

What is compared is compared at `SMALL`: finer than that, O and E differ wherever anything moved. Crops are float32
(S, S, 3) RGB in [-1, 1], masks float32 (S, S) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Literal

import cv2
import numpy as np

from rigid.arrays import Array
from rigid.composite.edit_masks import SMALL, FaceMasks
from rigid.composite.fringe import Fringe
from rigid.composite.kept_features import Features
from rigid.composite.paste import LEAST_WEIGHT, Composite, repeat_for_colours, weight_of, without_weight
from rigid.composite.reshaping import motion_field
from rigid.edits.edit_effect import EditEffect
from rigid.face.masks import border_window, eyes_mask
from rigid.fields import blur, mismatch, planes, repeat_for_flow, resize
from rigid.geometry import Points

CompositeKind = Literal["change", "paper"]

UNCHANGED = 0.11
"""τ: the difference between E and O, in [-1, 1] values, at which a share of exp(-1) of the real face stays, where O
is right."""
CHANGE_SIGMA = 1.0
"""How far a change reaches beyond where it is, softly, pixels at `SMALL`."""
COLOUR_SIGMA = 3.0
"""What of I - O is smoother than this, pixels at `SMALL`, is colour and light, which E is given."""
PART_SIGMA = 3.0 / 256
"""How soft the edge is of the eyes that an edit of these alone is shown in, sides of a crop."""
NEIGHBOURS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Faces:
    """The aligned faces of one frame."""

    real: Array
    """I."""
    inverted: Array
    """O."""
    edited: Array
    """E."""
    bare: Array | None = None
    """The face edited but for what is meant for the hair; None where that is the same, or all that is edited."""
    drawn_fault: Array | None = None
    """e of the last frame whose O was drawn, where this one's is inferred from E; None where it was drawn."""

    @cached_property
    def fault(self) -> Array:
        """e, (SMALL, SMALL): how much O differs from I in more than colour.

        An inferred O has the mouth of the frame it was drawn for, which is no fault of E: the fault of then stands.
        """
        if self.drawn_fault is not None:
            return self.drawn_fault
        real, before = self.small
        return find_spread_difference(before + self.colour, real)

    @cached_property
    def colour(self) -> Array:
        """l, (SMALL, SMALL, 3): what I and O differ by in colour and light."""
        real, before = self.small
        return blur(real - before, COLOUR_SIGMA)

    @cached_property
    def small(self) -> tuple[Array, Array]:
        """I and O, (SMALL, SMALL, 3) each."""
        return resize(self.real, SMALL), resize(self.inverted, SMALL)


def compose(kind: CompositeKind, faces: Faces, masks: FaceMasks, effect: EditEffect, landmarks: Points) -> Composite:
    """The edited crop of one frame, to be pasted; `landmarks` (478, 2) of I in crop pixels."""
    drawn = (
        Composite.of(faces.edited, masks.face)
        if kind == "paper"
        else _composite_change(faces, masks, effect, landmarks)
    )
    if effect.motion is None:
        return drawn
    size = len(faces.real)
    field = motion_field(landmarks, effect.motion * np.float32(size), size)
    return replace(drawn, motion=field * repeat_for_flow(masks.free))


def _composite_change(faces: Faces, masks: FaceMasks, effect: EditEffect, landmarks: Points) -> Composite:
    """What the edit changed of the face, and over it of the hair."""
    free = masks.free
    layers = []
    if effect.face:
        edited = faces.edited if faces.bare is None else faces.bare
        layers.append(_change_face(faces, edited, masks, effect, landmarks))
    if effect.hair:
        mask = np.float32(effect.hair) * free * masks.hair
        layers.append(change_layer(faces, faces.edited, mask, fringe=masks.fringe))
    if not layers:
        return Composite.of(faces.edited, np.zeros_like(masks.face))
    return layers[0] if len(layers) == 1 else layers[0].below(layers[1])


def _change_face(faces: Faces, edited: Array, masks: FaceMasks, effect: EditEffect, landmarks: Points) -> Composite:
    free, features = _mask_meant(effect, masks, landmarks) * masks.free, masks.features
    layer = change_layer(faces, edited, free * masks.face, drawn=effect.expressed)
    if features is None or min(effect.changes.values()) == 1:
        return layer
    return keep_features(layer, faces, edited, features, effect.changes, free * border_window(len(edited)))


def _mask_meant(effect: EditEffect, masks: FaceMasks, landmarks: Points) -> Array:
    """Where the edits of the face are meant to act, (S, S), or one number: everywhere, or at its lips or eyes alone."""
    parts = []
    for region, share in effect.shares.items():
        if region == "lips" and masks.features is not None:
            part = resize(masks.features.lips, len(masks.face))
        elif region == "eyes":
            part = blur(eyes_mask(landmarks, len(masks.face)), PART_SIGMA * len(masks.face))
        else:
            part = np.ones((), np.float32)
        parts.append(np.float32(share) * part)
    meant: Array = reduce(np.maximum, parts)
    return meant


def change_layer(
    faces: Faces, edited: Array, mask: Array, fringe: Fringe | None = None, drawn: Array | None = None
) -> Composite:
    """E, `edited`, in I's colours as far as it differs from O, inside `mask`; nothing where E equals O.

    All of it where it is `drawn` anew, (n, n): half of another mouth beside half of the real one is neither.
    """
    before, after = faces.small[1], resize(edited, SMALL)
    share, colour = how_changed(find_spread_difference(before, after), faces.fault), faces.colour
    if drawn is not None:
        share = np.maximum(share, resize(drawn, SMALL))
    if fringe is not None:
        share = np.maximum(share, fringe.drawn)
        colour = fringe.recolour(colour, *faces.small)
    # OpenCV gives the edited face a fourth channel of 1
    fields = np.asarray(cv2.merge((*planes(colour), share - 1)), np.float32)
    layers = np.asarray(cv2.cvtColor(edited, cv2.COLOR_RGB2RGBA), np.float32)
    layers += resize(fields, len(edited))
    weight = weight_of(layers) * mask
    layers *= np.asarray(cv2.merge((weight, weight, weight, mask)), np.float32)
    return Composite(layers)


def keep_features(
    layer: Composite, faces: Faces, edited: Array, features: Features, changes: Mapping[str, float], mask: Array
) -> Composite:
    """`layer`, in place, with I where `features` are, as light as E, `edited`, makes it.

    So far as `mask` says, and as E is not meant to change them; see `EditEffect.changes`.
    """
    gain, kept = features.gain(faces.small[1], resize(edited, SMALL)), features.keep(changes)
    fields = resize(np.asarray(cv2.merge((*planes(gain - 1), kept)), np.float32), len(edited))
    left, top, width, height = cv2.boundingRect((weight_of(fields) > LEAST_WEIGHT).view(np.uint8))
    box = slice(top, top + height), slice(left, left + width)
    kept = weight_of(fields[box]) * mask[box]
    change = without_weight(fields[box]) * (faces.real[box] + 1) * repeat_for_colours(kept)
    layers = layer.layers
    layers[box] *= np.asarray(cv2.merge((1 - kept,) * 4))
    # what is added to the real pixels takes no weight from them
    layers[box] += np.asarray(cv2.merge((*planes(change), np.zeros_like(kept))))
    return Composite(layers)


def how_changed(change: Array, error: Array) -> Array:
    """1 - k, (n, n): what the edit changed, by d, `change`, and e, `error`."""
    share: Array = 1 - np.exp(-np.square(change / (np.float32(UNCHANGED) + error)))
    return share


def find_spread_difference(first: Array, second: Array) -> Array:
    """How much two pictures (n, n, 3) differ at each place or beside it, (n, n)."""
    return blur(np.asarray(cv2.dilate(mismatch(first, second), NEIGHBOURS), np.float32), CHANGE_SIGMA)
