"""The warp error WE (Lai et al., 2018): how far a video's frame is from the one before, moved by the source's motion.

Frames are uint8 RGB (H, W, 3). The flow and the occlusions are those of the source video, for every method alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rigid.arrays import Array, Pixels, Region
from rigid.geometry import Transform, apply, corners, inverse

INCONSISTENT = (0.01, 0.5)
"""A flow and the flow back may differ by this share of their squared lengths, plus this many square pixels."""
BOUNDARY = (0.01, 0.002)
"""A flow's squared gradient may be this share of its squared length, plus this."""


@dataclass(frozen=True)
class Motion:
    """What moved where between two neighbouring frames of the source."""

    flow: Array
    """(H, W, 2), x and y in pixels: current(x) ≈ previous(x + flow(x))."""
    visible: Region
    """(H, W): where the current frame shows what the previous one showed."""

    def error(self, previous: Pixels, current: Pixels, region: Region | None = None) -> float:
        """Mean over the visible pixels of `region` and RGB of (current - W(previous))², values 0 to 255.

        `region` (H, W): the whole frame unless given. NaN where nothing in it is visible.
        """
        counted = self.visible if region is None else self.visible & region
        if not counted.any():
            return math.nan
        return float(self.differences(previous, current)[counted].mean(dtype=np.float64))

    def differences(self, previous: Pixels, current: Pixels) -> Array:
        """(current - W(previous))², values 0 to 255, mean over RGB of every pixel, visible or not, (H, W)."""
        difference = current.astype(np.float32) - warp(previous, self.flow)
        squared: Array = np.square(difference).mean(2)
        return squared


class MotionEstimator:
    """Motion by OpenCV's DIS flow (Kroeger et al., 2016), preset medium, both ways; holds work buffers only."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, previous: Pixels, current: Pixels) -> Motion:
        before, now = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (previous, current))
        forward: Array = self._dis.calc(now, before, None)  # type: ignore[call-overload]
        backward: Array = self._dis.calc(before, now, None)  # type: ignore[call-overload]
        return Motion(forward, visible(forward, backward))


def warp(previous: Pixels, flow: Array) -> Array:
    """W(previous, flow), bilinear, float32 (H, W, 3); the border's pixels are repeated beyond it."""
    places = _places(flow)
    return cv2.remap(  # type: ignore[return-value]
        previous.astype(np.float32), places[0], places[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def visible(forward: Array, backward: Array) -> Region:
    """Find where `forward` can be trusted, by the rules of Ruder et al. (2016).

    `backward`: previous(x) ≈ current(x + backward(x)). Left out: what leaves the frame, where the two flows do not
    undo each other (occlusions), and the borders of moving things.
    """
    height, width = forward.shape[:2]
    x, y = _places(forward)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    back = np.asarray(cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
    lengths = _square(forward) + _square(back)
    consistent = _square(forward + back) <= INCONSISTENT[0] * lengths + INCONSISTENT[1]
    down, across = (np.asarray(slope, np.float32) for slope in np.gradient(forward, axis=(0, 1)))
    smooth = _square(down) + _square(across) <= BOUNDARY[0] * _square(forward) + BOUNDARY[1]
    seen: Region = inside & consistent & smooth
    return seen


def _places(flow: Array) -> tuple[Array, Array]:
    """The pixels x + flow(x), x and y."""
    height, width = flow.shape[:2]
    x = np.asarray(flow[..., 0] + np.arange(width, dtype=np.float32), np.float32)
    y = np.asarray(flow[..., 1] + np.arange(height, dtype=np.float32)[:, None], np.float32)
    return x, y


def _square(vectors: Array) -> Array:
    lengths: Array = np.square(vectors).sum(-1)
    return lengths


def crop_area(transform: Transform, crop_size: int, shape: tuple[int, ...]) -> Region:
    """Find where in a frame of `shape` (H, W, ...) the aligned crop lies; `transform`: frame → crop."""
    area = np.zeros(shape[:2], np.uint8)
    quad = apply(inverse(transform), corners(crop_size, crop_size)) - 0.5
    cv2.fillConvexPoly(area, np.rint(quad.clip(-(2**20), 2**20)).astype(np.int32), 1)
    return area.astype(bool)
