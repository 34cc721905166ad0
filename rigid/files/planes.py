"""Frames of films as planes of numbers: turned, patched where an edit changed them, fitted to a size.

What is not patched keeps its very values. Planes are (H, W) uint8 or uint16, in the order of their pixel format:
luma, the two of chroma, alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels
from rigid.files.film_colours import Carry

Plane = NDArray[Any]

LUMA_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087)}
LUMA_WEIGHTS |= {9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
"""The weights of red and blue, by AVColorSpace (H.273, table 4)."""


@dataclass(frozen=True)
class Planes:
    """One frame in Y'CbCr."""

    parts: Sequence[Plane]
    bits: int
    full_range: bool
    matrix: int
    """AVColorSpace."""
    pixel_format: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.parts[0].shape[1], self.parts[0].shape[0]

    def turn(self, sideways: bool, flip_x: bool, flip_y: bool) -> Planes:
        """Transpose first where `sideways`, then mirror; its chroma must then be halved both ways or not at all."""
        parts = [part.T if sideways else part for part in self.parts]
        step_x, step_y = -1 if flip_x else 1, -1 if flip_y else 1
        return replace(self, parts=[part[::step_y, ::step_x] for part in parts])

    def patch(self, before: Pixels, after: Pixels, change: Carry) -> Planes:
        """Apply the change from `before` to `after`, RGB (H, W, 3) uint8 of this size; the rest to the bit."""
        box = _find_changed(before, after, self._steps)
        if box is None:
            return self
        signal = change(before[box], after[box])
        signal[(before[box] == after[box]).all(2)] = 0
        parts = [part.copy() for part in self.parts]
        red, blue = LUMA_WEIGHTS.get(self.matrix, LUMA_WEIGHTS[1])
        luma = signal @ np.array([red, 1 - red - blue, blue], np.float32)
        high = (1 << self.bits) - 1
        scale_y, scale_c = (high, high) if self.full_range else (219 << self.bits - 8, 224 << self.bits - 8)
        _add(parts[0], box, luma * scale_y, high)
        for index, (channel, weight) in enumerate(((2, blue), (0, red)), 1):
            chroma = (signal[..., channel] - luma) * np.float32(scale_c / (2 * (1 - weight)))
            _add(parts[index], box, _average(chroma, self._steps), high, self._steps)
        return replace(self, parts=parts)

    def beside(self, other: Planes) -> Planes:
        """Put this frame on the left of `other`."""
        pairs = zip(self.parts, other.parts, strict=True)
        return replace(self, parts=[np.hstack(pair) for pair in pairs])

    def on_black(self) -> Planes:
        """Without its transparency: what it hides is black."""
        alpha = self.parts[3].astype(np.float32) / ((1 << self.bits) - 1)
        rows, columns = self._steps
        dark = 0 if self.full_range else 16 << self.bits - 8
        middle = 1 << self.bits - 1
        parts = [np.rint(dark + (self.parts[0] - np.float32(dark)) * alpha).astype(self.parts[0].dtype)]
        thin = alpha[::rows, ::columns][: self.parts[1].shape[0], : self.parts[1].shape[1]]
        for part in self.parts[1:3]:
            parts.append(np.rint(middle + (part - np.float32(middle)) * thin).astype(part.dtype))
        return replace(self, parts=parts, pixel_format=self.pixel_format.replace("yuva", "yuv"))

    def pad(self, width: int, height: int, centred: bool) -> Planes:
        """Pad to `width` x `height`: centred on black, else its last row and column repeated."""
        if self.size == (width, height):
            return self
        parts = []
        for index, part in enumerate(self.parts):
            rows, columns = (1, 1) if index in (0, 3) else self._steps
            down, across = -(-height // rows) - part.shape[0], -(-width // columns) - part.shape[1]
            top, left = (down // 2, across // 2) if centred else (0, 0)
            around = ((top, down - top), (left, across - left))
            if centred:
                parts.append(np.pad(part, around, constant_values=self._black(index)))
            else:
                parts.append(np.pad(part, around, mode="edge"))
        return replace(self, parts=parts)

    def as_frame(self) -> av.VideoFrame:
        """Make a frame as FFmpeg takes it."""
        width, height = self.size
        frame = av.VideoFrame(width, height, self.pixel_format)
        for plane, part in zip(frame.planes, self.parts, strict=True):
            rows = np.frombuffer(memoryview(plane), part.dtype).reshape(-1, plane.line_size // part.dtype.itemsize)
            rows[: part.shape[0], : part.shape[1]] = part
        frame.colorspace, frame.color_range = self.matrix, 2 if self.full_range else 1
        return frame

    @property
    def _steps(self) -> tuple[int, int]:
        """How many rows and columns of luma share a row and column of chroma."""
        return steps_of(av.VideoFormat(self.pixel_format))

    def _black(self, index: int) -> int:
        if index == 0:
            return 0 if self.full_range else 16 << self.bits - 8
        return 1 << self.bits - 1 if index < 3 else (1 << self.bits) - 1


def steps_of(form: av.VideoFormat) -> tuple[int, int]:
    """How many rows and columns of luma share a row and column of chroma, each 1, 2 or 4."""
    return 64 // form.chroma_height(64), 64 // form.chroma_width(64)


def planes_of(frame: av.VideoFrame, matrix: int, full_range: bool) -> Planes:
    """The planes of a frame in planar Y'CbCr; views into the frame, which nobody may write to."""
    form = frame.format
    bits = form.components[0].bits
    kind = np.dtype(np.uint8 if bits == 8 else np.uint16)
    parts = []
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // kind.itemsize)
        chroma = index in (1, 2)
        width = form.chroma_width(frame.width) if chroma else frame.width
        height = form.chroma_height(frame.height) if chroma else frame.height
        parts.append(rows[:height, :width])
    return Planes(parts, bits, full_range, matrix, form.name)


Slices = tuple[slice, slice]


def _find_changed(before: Pixels, after: Pixels, steps: tuple[int, int]) -> Slices | None:
    """What differs, as a box that begins on a row and column of chroma."""
    if before is after:
        return None
    differs = before != after
    rows = np.flatnonzero(differs.reshape(len(differs), -1).any(1))
    if not len(rows):
        return None
    columns = np.flatnonzero(differs[rows[0] : rows[-1] + 1].any(0).any(1))
    edges = (int(ends[0]) // step * step for ends, step in zip((rows, columns), steps, strict=True))
    top, left = edges
    return slice(top, int(rows[-1]) + 1), slice(left, int(columns[-1]) + 1)


def _average(chroma: Array, steps: tuple[int, int]) -> Array:
    rows, columns = steps
    height, width = chroma.shape
    whole = np.pad(chroma, ((0, -height % rows), (0, -width % columns)), mode="edge")
    return np.asarray(whole.reshape(whole.shape[0] // rows, rows, -1, columns).mean((1, 3)), np.float32)


def _add(part: Plane, box: Slices, change: Array, high: int, steps: tuple[int, int] = (1, 1)) -> None:
    top, left = box[0].start // steps[0], box[1].start // steps[1]
    place = part[top : top + change.shape[0], left : left + change.shape[1]]
    place[:] = np.clip(np.rint(place + change[: place.shape[0], : place.shape[1]]), 0, high).astype(part.dtype)
