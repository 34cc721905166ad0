"""Pictures upright, in their own colours, and fitted into another shape."""

from __future__ import annotations

import cv2
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
ACCURATE = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
"""PyAV's default rounding darkens by about 1/255."""
HIGH_DEFINITION = 720
"""From so many rows on, a film that does not name its colours has those of BT.709, else of BT.601."""
NAMED = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601}
"""Matrices by their code in ITU-T H.273."""


def upright(frame: VideoFrame) -> Picture:
    """Show a decoded frame as a player shows it: RGB uint8 (H, W, 3), turned by its display matrix, by its own tags."""
    usual = Colorspace.ITU709 if min(frame.width, frame.height) >= HIGH_DEFINITION else Colorspace.ITU601
    plain = frame.reformat(
        format="rgb24",
        src_colorspace=NAMED.get(int(frame.colorspace), usual),
        src_color_range=ColorRange.JPEG if frame.color_range == ColorRange.JPEG else ColorRange.MPEG,
        interpolation=ACCURATE,
    )
    # PyAV counts the quarter turns against the clock, as NumPy does.
    turned = np.rot90(plain.to_ndarray(), round(frame.rotation / 90) % 4)
    return np.ascontiguousarray(turned, np.uint8)


def letterbox(picture: Picture, width: int, height: int) -> Picture:
    """Fit `picture`, whole and in its own shape, with black bars, as RGB uint8 (height, width, 3)."""
    if picture.shape[1::-1] == (width, height):
        return picture
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    fitted = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    canvas[top : top + size[1], left : left + size[0]] = fitted
    return canvas
