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
from rigid.geometry import Transform, apply, in_fours, inverse, resample

LEAST_WEIGHT = 1 / 1024
"""A weight below this changes no pixel by more than a quarter of a grey level."""
LEAST_MOTION = 0.1
"""Pixels of the crop: less motion is not worth showing."""


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
    still = composite.motion is None
    box = _frame_box(composite.touched if still else _find_touched(composite), transform, frame.shape)
    if box is None or opacity <= 0:
        return result
    left, top, right, bottom = box
    to_box = inverse(transform)
    to_box[:, 2] -= (left, top)
    size = (right - left, bottom - top)
    region = frame[top:bottom, left:right].astype(np.float32)
    opacity = min(1.0, opacity)
    layers = _resample(composite, to_box, size, opacity)
    change, weight = without_weight(layers), repeat_for_colours(weight_of(layers))
    if composite.motion is None:
        weight *= region
        change -= weight
    else:
        moved, share = _move_pixels(frame, composite.motion, transform, to_box, (left, top), size)
        moved -= region
        moved *= repeat_for_colours(share)
        change += np.float32(opacity) * moved
        change -= weight * (region + moved)
    # rounds to even and clips, as it makes bytes of the sum
    result[top:bottom, left:right] = cv2.add(change, region, dtype=cv2.CV_8U)
    return result


def _resample(composite: Composite, to_box: Transform, size: tuple[int, int], opacity: float) -> Array:
    """What is drawn on a scale from 0 to 255, and its weight, (h, w, 4) in the box of a frame."""
    # crops go from -1 to 1, and what is drawn is a share of that
    to_bytes = np.diag([127.5, 127.5, 127.5, 1.0])
    to_bytes[:3, 3] = 127.5
    layers = np.asarray(cv2.transform(composite.layers, opacity * to_bytes), np.float32)
    if composite.motion is not None:
        layers = warp(layers, composite.motion)
    return resample(layers, to_box, size, cv2.BORDER_CONSTANT)


def _find_touched(composite: Composite) -> Array:
    """Where the composite may show anything but the real pixel of that place, (S, S)."""
    assert composite.motion is not None
    return union(warp(composite.touched, composite.motion), _moving(composite.motion))


def _moving(motion: Array) -> Array:
    """How far `motion` is worth showing, (S, S) in [0, 1]."""
    share: Array = np.minimum(cv2.magnitude(*planes(motion)) / np.float32(LEAST_MOTION), 1).astype(np.float32)
    return share


def _move_pixels(
    frame: Pixels,
    motion: Array,
    transform: Transform,
    to_box: Transform,
    origin: tuple[int, int],
    size: tuple[int, int],
) -> tuple[Array, Array]:
    """The real pixels of a box of `frame`, each from where `motion` says, and how far they count, (h, w)."""
    in_frame = cv2.transform(motion, np.linalg.inv(transform[:, :2]))
    fields = np.asarray(cv2.merge((*planes(np.asarray(in_frame, np.float32)), _moving(motion))), np.float32)
    x, y, share = planes(resample(fields, to_box, size, cv2.BORDER_CONSTANT))
    return _displace(frame, x, y, origin).astype(np.float32), share


def repeat_for_colours(mask: Array) -> Array:
    """`mask` (h, w) for each of three channels, (h, w, 3): so NumPy multiplies it several times faster than by
    broadcasting one value to three."""
    return cv2.merge((mask, mask, mask))  # type: ignore[return-value]


def _displace(frame: Pixels, x: Array, y: Array, origin: tuple[int, int]) -> Pixels:
    """The box of `frame` at `origin` (left, top), each pixel taken from `x` and `y` (h, w) frame pixels further on."""
    height, width = x.shape
    columns = x + np.arange(origin[0], origin[0] + width, dtype=np.float32)
    rows = y + np.arange(origin[1], origin[1] + height, dtype=np.float32)[:, None]
    return in_fours(frame, lambda given: cv2.remap(given, columns, rows, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT))


def _frame_box(mask: Array, transform: Transform, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom in the frame round all that the mask can be seen to touch; None if that is nothing."""
    left, top, width, height = cv2.boundingRect((mask > LEAST_WEIGHT).view(np.uint8))
    if not width:
        return None
    x, y = (left - 1, left + width + 1), (top - 1, top + height + 1)
    touched = apply(inverse(transform), np.array([(a, b) for a in x for b in y], np.float64))
    low = np.maximum(np.floor(touched.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(touched.max(0)).astype(int) + 1, (shape[1], shape[0]))
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
