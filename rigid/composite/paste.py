"""The edited face into its frame: premultiplied, un-aligned, drawn over the real pixels (Eq. 7).

Crops are float32 (S, S, 3) RGB in [-1, 1]; masks float32 (S, S) in [0, 1]; frames uint8 RGB (H, W, 3).
Flows are float32 (S, S, 2), x and y in crop pixels: the warp W(P, f) shows at x what P shows at x + f(x).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.face.masks import union
from rigid.fields import largest, planes
from rigid.geometry import Transform, apply, in_fours, interpolate, inverse, soften

LEAST_WEIGHT = 1 / 1024
"""A weight below this changes no pixel by more than a quarter of a grey level."""
STRIP = 32
"""Rows of a frame that are pasted at a time: what is made on the way to them stays in the processor's cache."""
LEAST_MOTION = 0.1
"""Pixels of the crop: less motion is not worth showing."""
Window = tuple[slice, slice]
"""Rows and columns of a picture."""


def warp(picture: Array, flow: Array) -> Array:
    """W(picture, flow): `picture` (S, S[, C]) as seen at x + flow(x), reflected at the border."""
    places = flow + _places(flow.shape[0])
    return in_fours(picture, lambda given: cv2.remap(given, places, None, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT))  # type: ignore[call-overload]


@cache
def _places(size: int) -> Array:
    """The x and the y of every pixel of a crop, (size, size, 2); the very same array at every call."""
    rows, columns = np.indices((size, size), np.float32)
    return np.dstack((columns, rows))


@dataclass(frozen=True)
class Composite:
    """An edited crop, ready to be put into its frame: `drawn` + (1 - `weight`) · I, seen at x + `motion`(x)."""

    layers: Array
    """`drawn` and `weight`, (S, S, 4). What is drawn without a weight is added to the real pixels."""
    motion: Array | None = None
    """Where the whole is taken from, the real pixels round it too; None: from where it is shown."""

    @classmethod
    def of(cls, face: Array, mask: Array) -> Composite:
        """`face` where `mask` is, as in Eq. 7."""
        return cls(np.asarray(cv2.merge((*planes(repeat_for_colours(mask) * face), mask)), np.float32))

    @property
    def drawn(self) -> Array:
        """What is put in, already times its weight (premultiplied, as in Porter and Duff, 1984), (S, S, 3)."""
        return without_weight(self.layers)

    @property
    def weight(self) -> Array:
        """How far it takes the place of the real pixels, (S, S)."""
        return weight_of(self.layers)

    @property
    def touched(self) -> Array:
        """Where anything is drawn or added, (S, S): above 0, at least its weight."""
        return cv2.max(self.weight, largest(np.abs(self.drawn)))  # type: ignore[return-value]

    def below(self, top: Composite) -> Composite:
        """Draw `top` over this one; neither is moved."""
        assert self.motion is None and top.motion is None
        left = 1 - top.weight
        return Composite(top.layers + np.asarray(cv2.merge((left,) * 4), np.float32) * self.layers)

    def over(self, inputs: Array) -> Array:
        """The edited crop, `inputs` being I: exactly I where nothing is drawn and nothing moves."""
        shown: Array = inputs + (self.drawn - repeat_for_colours(self.weight) * inputs)
        return shown if self.motion is None else warp(shown, self.motion)


def without_weight(layers: Array) -> Array:
    """The colours of a composite's `layers` (h, w, 4), (h, w, 3)."""
    return cv2.cvtColor(layers, cv2.COLOR_RGBA2RGB)  # type: ignore[return-value]


def weight_of(layers: Array) -> Array:
    """The weight of a composite's `layers` (h, w, 4), (h, w)."""
    return cv2.extractChannel(layers, 3)  # type: ignore[return-value]


def paste(frame: Pixels, composite: Composite, transform: Transform, opacity: float = 1.0) -> Pixels:
    """`frame` with the edited face un-aligned into it, a new uint8 (H, W, 3).

    `transform`: frame → crop. `opacity` in [0, 1] fades the edit. Where nothing is drawn and nothing moves the frame's
    bits stay. The real pixels are taken from the frame itself, not from its crop, so that they are as sharp as they
    were.
    """
    result = frame.copy()
    part = _find_touched(composite)
    box = None if part is None else _frame_box(part, transform, frame.shape)
    if part is None or box is None or opacity <= 0:
        return result
    left, top, right, bottom = box
    to_box = inverse(transform)
    to_box[:, 2] = apply(to_box, np.array([part[1].start, part[0].start], np.float64)) - (left, top)
    opacity = min(1.0, opacity)
    fields = [_scale_to_bytes(composite, part, opacity)]
    if composite.motion is not None:
        fields.append(_turn_to_frame(composite.motion[part], transform, opacity))
    softened = [soften(field, to_box, (right - left, bottom - top)) for field in fields]
    for first in range(0, bottom - top, STRIP):
        size = right - left, min(STRIP, bottom - top - first)
        seen = [
            interpolate(one, to_strip - [[0, 0, 0], [0, 0, first]], size, cv2.BORDER_CONSTANT)
            for one, to_strip in softened
        ]
        place = slice(top + first, top + first + size[1]), slice(left, right)
        result[place] = _draw(frame, place, *seen)
    return result


def _draw(frame: Pixels, place: Window, layers: Array, motion: Array | None = None) -> Pixels:
    """A part of `frame`, (h, w, 3), with `layers` (h, w, 4) drawn over pixels moved as `motion` (h, w, 4) says."""
    real = (frame[place] if motion is None else _displace(frame, place, motion)).astype(np.float32)
    change, weight = without_weight(layers), repeat_for_colours(weight_of(layers))
    weight *= real
    change -= weight
    # rounds to even and clips, as it makes bytes of the sum
    return cv2.add(change, real, dtype=cv2.CV_8U)  # type: ignore[return-value]


def _scale_to_bytes(composite: Composite, part: Window, opacity: float) -> Array:
    """What is drawn in a `part` of the crop on a scale from 0 to 255, and its weight, (h, w, 4)."""
    layers = composite.layers if composite.motion is None else warp(composite.layers, composite.motion)
    # crops go from -1 to 1, and what is drawn is a share of that
    to_bytes = np.diag([127.5, 127.5, 127.5, 1.0])
    to_bytes[:3, 3] = 127.5
    return cv2.transform(layers[part], opacity * to_bytes)  # type: ignore[return-value]


def _find_touched(composite: Composite) -> Window | None:
    """The rows and columns in which the composite may show anything but the real pixel of its place."""
    if composite.motion is None:
        return _bound(np.abs(composite.layers))
    return _bound(union(warp(composite.touched, composite.motion), _moving(composite.motion)))


def _bound(strength: Array) -> Window | None:
    """The rows and columns, and one more round them, beyond which `strength` (S, S[, C]) is too little to be seen."""
    size = len(strength)
    rows = np.flatnonzero(strength.reshape(size, -1).max(1) > LEAST_WEIGHT)
    if not len(rows):
        return None
    top, bottom = max(0, int(rows[0]) - 1), min(size, int(rows[-1]) + 2)
    columns = np.flatnonzero(strength[top:bottom].max(0).reshape(size, -1).max(1) > LEAST_WEIGHT)
    return slice(top, bottom), slice(max(0, int(columns[0]) - 1), min(size, int(columns[-1]) + 2))


def _moving(motion: Array) -> Array:
    """How far `motion` is worth showing, (S, S) in [0, 1]."""
    share: Array = np.minimum(cv2.magnitude(*planes(motion)) / np.float32(LEAST_MOTION), 1).astype(np.float32)
    return share


def _turn_to_frame(motion: Array, transform: Transform, opacity: float) -> Array:
    """`motion` (h, w, 2) of the crop in pixels of the frame, so far as it is worth showing and by `opacity`.

    It is there twice, (h, w, 4): OpenCV interpolates four channels several times as fast as two.
    """
    to_frame, moving = opacity * np.linalg.inv(transform[:, :2]), _moving(motion)
    in_frame = cv2.transform(motion, np.vstack((to_frame, to_frame)))
    return np.asarray(in_frame, np.float32) * cv2.merge((moving, moving, moving, moving))


def repeat_for_colours(mask: Array) -> Array:
    """`mask` (h, w) for each of three channels, (h, w, 3): so NumPy multiplies it several times faster than by
    broadcasting one value to three."""
    return cv2.merge((mask, mask, mask))  # type: ignore[return-value]


def _displace(frame: Pixels, place: Window, motion: Array) -> Pixels:
    """A part of `frame`, (h, w, 3), each pixel taken from as many columns and rows on as `motion` (h, w, 4) says."""
    rows, columns = (np.arange(side.start, side.stop, dtype=np.float32) for side in place)
    columns, rows = cv2.extractChannel(motion, 0) + columns, cv2.extractChannel(motion, 1) + rows[:, None]
    return cv2.remap(frame, columns, rows, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT)  # type: ignore[return-value]


def _frame_box(part: Window, transform: Transform, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom in the frame round a `part` of the crop; None where it lies beyond the frame."""
    y, x = ((edge.start, edge.stop) for edge in part)
    touched = apply(inverse(transform), np.array([(a, b) for a in x for b in y], np.float64))
    low = np.maximum(np.floor(touched.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(touched.max(0)).astype(int) + 1, (shape[1], shape[0]))
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
