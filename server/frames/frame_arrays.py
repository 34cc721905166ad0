"""The way between WebRTC's pictures and the algorithm's arrays.

Both ways use BT.601, limited range, whatever the source is tagged as: an encoder here passes no tag on, so a frame
that goes through unedited and one that was edited must be the same numbers to the viewer.
"""

from __future__ import annotations

import cv2
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Interpolation

from rigid.arrays import Pixels

# PyAV's default rounding darkens by about 1/255.
ACCURATE = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
MIN_SIDE = 16
CHROMA = np.array([[-0.148223, -0.290993, 0.439216, 128], [0.439216, -0.367788, -0.071427, 128], [0, 0, 0, 0]])
"""Both colour differences of BT.601, limited range, from red, green, blue and 1; and nothing, as OpenCV takes a quarter
of the time over three rows that it takes over two."""
MAX_SIDE = 1920
"""Larger pictures are reduced: encoding one of 8K takes longer than a picture may."""


def normalise(frame: VideoFrame) -> VideoFrame:
    """Make `frame` yuv420p, limited range, with even sides, as every encoder takes it; usually it is so already.

    A picture with a side of more than 1920 pixels is reduced to that. Raises ValueError for one smaller than 16
    pixels on a side.
    """
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    width, height = int(frame.width * scale) & ~1, int(frame.height * scale) & ~1
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"The picture is {frame.width}x{frame.height}; at least {MIN_SIDE}x{MIN_SIDE} is needed.")
    usual = frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG
    if usual and (width, height) == (frame.width, frame.height):
        return frame
    plain = frame.reformat(width, height, "yuv420p", interpolation=ACCURATE, dst_color_range=ColorRange.MPEG)
    return stamp(plain, frame)


def to_rgb(frame: VideoFrame) -> Pixels:
    """A normalised frame as RGB: uint8 (H, W, 3).

    Colour is taken for four pixels as it is sent for them: so it survives the way back, which averages them.
    """
    return cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420)  # type: ignore[return-value]


def from_rgb(rgb: Pixels, like: VideoFrame) -> VideoFrame:
    """RGB uint8 (H, W, 3), of even sides, as a yuv420p frame with the time of `like`."""
    height, width = rgb.shape[:2]
    luma = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)[:height]
    # OpenCV takes the colour of one pixel in four, which would alias
    means = cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    blue, red, _ = cv2.split(cv2.transform(means, CHROMA))
    frame = VideoFrame(width, height, "yuv420p")
    for plane, values in zip(frame.planes, (luma, blue, red), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows[:, : values.shape[1]] = values
    return stamp(frame, like)


def stamp(frame: VideoFrame, like: VideoFrame) -> VideoFrame:
    """Give `frame` the time of `like`, and return it."""
    frame.pts, frame.time_base = like.pts, like.time_base
    return frame
