"""Real faces as codes, to see whether an edit does to them what it does to generated ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rigid.arrays import Array, Pixels
from rigid.fields import from_pixels
from rigid.files.clips import find_clips
from rigid.files.video_reader import Picture, VideoReader
from rigid.models.build import build_image_encoder
from rigid.models.profiles import sizes_of
from rigid.training.fast_inference import compile_network

PER_CLIP = 4
"""Frames taken of a clip, evenly."""


def frames_of(path: Path, count: int = PER_CLIP) -> list[Pixels]:
    """`count` frames of a clip, evenly from the first to the last, RGB (S, S, 3)."""
    with VideoReader(path) as reader:
        frames = [item.image for item in reader if isinstance(item, Picture)]
    return [frames[i] for i in np.linspace(0, len(frames) - 1, count).round().astype(int)] if frames else []


def codes_of_clips(profile: str, folder: Path, split: str | None = None) -> Array:
    """Codes (N, n_codes, 512) of frames of the aligned clips in `folder`, or of its `split` as `find_clips` takes it.

    ValueError when there is none, or when a clip is not of the profile's size.
    """
    size = sizes_of(profile).image_size
    paths = [clip.path for clip in find_clips(folder, split)]
    encode = compile_encoder(profile)
    codes = []
    for path in paths:
        for frame in frames_of(path):
            if frame.shape != (size, size, 3):
                raise ValueError(
                    f"{path.name} is {frame.shape[1]}×{frame.shape[0]}, not {size}×{size}; align it first."
                )
            codes.append(encode(np.ascontiguousarray(from_pixels(frame).transpose(2, 0, 1)[None]))[0])
    return np.stack(codes)


def compile_encoder(profile: str) -> Callable[[Array], Array]:
    """The profile's image encoder: aligned RGB (1, 3, S, S) in [-1, 1] → codes (1, n_codes, code_size)."""
    size = sizes_of(profile).image_size
    # held one level down: the exporter cannot have a module called `code`, which the encoder has, at the top
    run = compile_network(nn.Sequential(build_image_encoder(profile)), torch.zeros(1, 3, size, size))

    def encode(inputs: Array) -> Array:
        # copied, as the engine writes its next result to the same place
        return run(torch.from_numpy(inputs)).copy()

    return encode
