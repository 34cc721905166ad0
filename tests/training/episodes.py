"""Episodes made by hand, small enough for a test to run in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.training.episodes import Episode, EpisodeSet, load_or_make_episodes
from rigid.training.flow import DisFlow
from rigid.training.framing import Cut, framing, make_framed_episode

CUT = Cut(frames=4, per_clip=2, crop_size=64, window_size=32, code_size=32)
N_CODES = 10


def smooth_pictures(count: int, size: int, seed: int) -> NDArray[np.uint8]:
    """One picture that drifts (count, size, size, 3)."""
    random = np.random.default_rng(seed)
    large = cv2.resize(
        random.integers(0, 256, (9, 9, 3), np.uint8), (2 * size, 2 * size), interpolation=cv2.INTER_CUBIC
    )
    return np.stack([large[i : i + size, 2 * i : 2 * i + size] for i in range(count)])


def tiny_episode(seed: int, *, edited: bool = False) -> Episode:
    """A walk, its crops drifting; the "true edited faces", where asked for, are brighter."""
    crops = smooth_pictures(CUT.frames, CUT.crop_size, seed)
    brighter = np.clip(crops.astype(int) + 40, 0, 255).astype(np.uint8) if edited else None
    edit = np.full((N_CODES, CUT.code_size), 0.2, np.float32) if edited else None
    placements = framing(CUT.frames, np.random.default_rng(seed))
    return make_framed_episode(f"drift {seed}", crops, placements, CUT, DisFlow(), brighter, edit)


def tiny_set(folder: Path, *, edited: bool, count: int = 3) -> EpisodeSet:
    """A few of them, kept in `folder`."""

    def make() -> Iterator[Episode]:
        return (tiny_episode(seed, edited=edited) for seed in range(count))

    return load_or_make_episodes(folder, make)
