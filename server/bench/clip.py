"""The frames a benchmark runs on: a clip from a file, or one rendered from the generator."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.files.video_reader import Picture, VideoError, VideoReader
from rigid.geometry import resample, similarity
from rigid.models.contract import Runtime

SIZE = (640, 480)
"""Width and height of every frame."""
FRAMES = 60
FACE_SIDE = 440
"""Side of the rendered crop in the frame, pixels: the face then fills about half the frame's height."""
STOPS = 4
TRUNCATION = 0.6
SEED = 7


def read_clip(path: Path, count: int = FRAMES) -> list[Pixels]:
    """The first `count` frames of a video, uint8 RGB (480, 640, 3), the middle cut to 4:3; VideoError if none."""
    with VideoReader(path) as reader:
        pictures = (item.image for item in reader if isinstance(item, Picture))
        frames = [_fill(picture) for picture in islice(pictures, count)]
    if not frames:
        raise VideoError(f"{path} holds no frame; give a video with a face.")
    return frames


def render_clip(runtime: Runtime, mapping: Callable[[Array], Array], mean: Array, count: int = FRAMES) -> list[Pixels]:
    """A face that turns into others, uint8 RGB (480, 640, 3): a smooth closed walk between codes in W.

    `mapping`: z (B, 512) → W; `mean`: the mean code (512,) the codes are drawn towards. The last frame leads back to
    the first.
    """
    codes = walk(mapping, mean, count)
    frames = []
    for code in codes:
        w_plus = np.repeat(code[None, None], runtime.sizes.n_codes, 1)
        image = runtime.synthesize(w_plus, np.zeros((1, *runtime.sizes.noise_shape), np.float32))[0]
        frames.append(_place_in_frame(image))
    return frames


def walk(mapping: Callable[[Array], Array], mean: Array, count: int) -> Array:
    """Walk through `count` codes (count, 512) on a closed path through a few random ones."""
    stops = mapping(np.random.default_rng(SEED).standard_normal((STOPS, mean.size), np.float32))
    stops = mean + np.float32(TRUNCATION) * (stops - mean)
    positions = np.arange(count) * STOPS / count
    before = np.floor(positions).astype(int)
    # A cosine between two stops: the walk pauses at each of them, as faces do.
    share = (0.5 - 0.5 * np.cos(np.pi * (positions - before)))[:, None]
    path: Array = (stops[before] + share * (stops[(before + 1) % STOPS] - stops[before])).astype(np.float32)
    return path


def _place_in_frame(image: Array) -> Pixels:
    """A generated (3, S, S) image in the middle of a frame; its surroundings are its own mirror image."""
    pixels = np.rint((image.transpose(1, 2, 0).clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    side = image.shape[-1]
    visible = side * SIZE[0] / FACE_SIDE
    return resample(pixels, similarity(np.array([side / 2, side / 2]), visible, 0.0, SIZE), SIZE)


def _fill(picture: Pixels) -> Pixels:
    """Scale `picture` so that it fills the frame, its middle kept."""
    height, width = picture.shape[:2]
    visible = min(width, height * SIZE[0] / SIZE[1])
    return resample(picture, similarity(np.array([width / 2, height / 2]), visible, 0.0, SIZE), SIZE)
