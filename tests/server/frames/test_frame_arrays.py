"""Pictures on their way from WebRTC to arrays and back."""

from __future__ import annotations

import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import ColorRange

from server.frames.frame_arrays import from_rgb, normalise, to_rgb
from tests.server.world import CLOCK


def smooth(width: int, height: int) -> VideoFrame:
    """A colourful gradient in yuv420p, 1 s in."""
    rows, columns = np.mgrid[:height, :width]
    rgb = np.stack([255 * columns / width, 255 * rows / height, 128 + 0 * rows], -1).astype(np.uint8)
    frame = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = 90000, CLOCK
    return frame


def planes(frame: VideoFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return frame.to_ndarray().astype(np.int16)


def test_the_way_there_and_back_changes_almost_nothing_and_keeps_the_time() -> None:
    frame = smooth(320, 240)
    back = from_rgb(to_rgb(frame), frame)
    assert (back.pts, back.time_base, back.format.name) == (90000, CLOCK, "yuv420p")
    difference = planes(back) - planes(frame)
    assert np.abs(difference).max() <= 2
    assert abs(difference.mean()) < 0.1


@pytest.mark.parametrize(("width", "height"), [(64, 48), (70, 46), (34, 50)])
def test_colour_that_changes_from_place_to_place_comes_back(width: int, height: int) -> None:
    random = np.random.default_rng(0)
    yuv = np.empty((height * 3 // 2, width), np.uint8)
    yuv[:height] = random.integers(110, 140, (height, width))
    yuv[height:] = random.integers(110, 146, (height // 2, width))
    frame = VideoFrame.from_ndarray(yuv, format="yuv420p")
    frame.pts, frame.time_base = 0, CLOCK
    rgb = to_rgb(frame)
    assert rgb.shape == (height, width, 3)
    assert np.abs(planes(from_rgb(rgb, frame)) - planes(frame)).mean() < 0.5


def test_a_picture_that_is_tagged_as_full_range_becomes_limited() -> None:
    white = VideoFrame.from_ndarray(np.full((48, 32), 255, np.uint8), format="yuv420p")
    white.pts, white.time_base, white.color_range = 0, CLOCK, ColorRange.JPEG
    assert np.abs(planes(normalise(white))[:32] - 235).max() <= 1


def test_a_usual_picture_is_normal_as_it_is() -> None:
    frame = smooth(320, 240)
    assert normalise(frame) is frame


@pytest.mark.parametrize(("width", "height"), [(321, 240), (320, 241), (333, 333)])
def test_sides_become_even(width: int, height: int) -> None:
    frame = normalise(smooth(width, height))
    assert (frame.width, frame.height) == (width & ~1, height & ~1)
    assert (frame.pts, frame.time_base) == (90000, CLOCK)


def test_full_range_becomes_limited() -> None:
    white = VideoFrame.from_ndarray(np.full((32, 32, 3), 255, np.uint8), format="rgb24").reformat(format="yuvj420p")
    white.pts, white.time_base = 0, CLOCK
    frame = normalise(white)
    assert frame.format.name == "yuv420p"
    assert np.abs(planes(frame)[:32] - 235).max() <= 1
    assert to_rgb(frame).min() >= 254


def test_black_white_and_grey_keep_their_levels() -> None:
    rgb = np.repeat(np.array([0, 128, 255], np.uint8), 16)[None, :, None].repeat(16, 0).repeat(3, 2)
    like = smooth(48, 16)
    assert np.abs(to_rgb(from_rgb(rgb, like)).astype(int) - rgb)[:, [4, 24, 44]].max() <= 1


def test_a_huge_picture_is_reduced() -> None:
    huge = VideoFrame(7680, 4320, "yuv420p")
    huge.pts, huge.time_base = 90000, CLOCK
    frame = normalise(huge)
    assert (frame.width, frame.height, frame.pts) == (1920, 1080, 90000)


def test_a_tiny_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="1x1"):
        normalise(smooth(1, 1))
