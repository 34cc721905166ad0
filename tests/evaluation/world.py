"""A tiny world to measure: clips made by hand, networks of a few weights, and meters that read pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rigid.arrays import Array, Pixels
from rigid.evaluation.measure import Meters
from rigid.evaluation.methods import Networks
from rigid.evaluation.results import Result
from rigid.evaluation.run import Tools
from rigid.models.mobile_stylegan import MobileStyleGAN
from tests.clips import write_clip
from tests.fakes import TINY, FakeRuntime
from tests.groups import People, Person, make_tracker, standing
from tests.networks import randomise
from tests.worlds import FRAME_SHAPE, Brighten, FixedTracker, textured_frame

SIZE = (FRAME_SHAPE[1], FRAME_SHAPE[0])


class PixelDistance(nn.Module):
    """Stands for LPIPS: the mean absolute difference of two batches, one number a pair."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (x.float() - y.float()).abs().mean((1, 2, 3))


def embed(frame: Pixels, landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Stands for the identity net: the colours of a thumbnail round the face, as a unit vector."""
    left, top = landmarks.min(0).astype(int)
    right, bottom = landmarks.max(0).astype(int)
    face = frame[max(0, top) : bottom, max(0, left) : right].astype(np.float64)
    numbers = np.concatenate([face.mean((0, 1)), face.std((0, 1)), face[::8, ::8, 0].ravel()])
    unit: NDArray[np.float64] = numbers / np.linalg.norm(numbers)
    return unit


class LightLabeller:
    """Measures `light`, the mean grey level, 0 to 1."""

    measures: tuple[str, ...] = ("roll", "light")

    def __call__(self, images: Pixels) -> Array:
        light = images.mean((1, 2, 3)) / 255
        return np.stack([np.zeros_like(light), light], 1).astype(np.float32)


class Thumbnails:
    """Stands for the image encoder: the fake runtime's codes."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, inputs: Array) -> Array:
        from rigid.models.contract import RecurrentState

        self.calls += 1
        return FakeRuntime().invert(inputs, RecurrentState.initial(TINY))[0]


def tiny_generator() -> MobileStyleGAN:
    """Codes (B, 10, 48) → RGB (B, 3, 64, 64); random weights, frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MobileStyleGAN((8, 8, 8, 8), code_size=TINY.code_size, noise_resolution=8)
        for module in network.modules():
            randomise(module)
    return network.eval().requires_grad_(False)


def meters() -> Meters:
    """Meters that need no files."""
    return Meters(PixelDistance(), embed, LightLabeller())


def networks(runtime: FakeRuntime | None = None) -> Networks:
    """Networks whose edit `light` brightens."""
    return Networks(runtime or FakeRuntime(), Brighten(), Thumbnails, tiny_generator, PixelDistance)


def tools(
    trackers: Sequence[FixedTracker] = (),
    runtime: FakeRuntime | None = None,
    said: list[str] | None = None,
    facts: Mapping[str, object] | None = None,
    plot: Callable[[Path, str, Mapping[str, Result]], None] = lambda *_: None,
) -> Tools:
    """Tools of this world; each clip takes the next of `trackers`, the last ones one that sees everything.

    Nothing is plotted unless it is asked for: that takes the longest.
    """
    waiting = list(trackers)
    return Tools(
        networks(runtime),
        meters(),
        lambda: waiting.pop(0) if waiting else FixedTracker(),
        lambda most: make_tracker(PAIR, most),
        facts or {"profile": "tiny"},
        (said if said is not None else []).append,
        plot,
    )


PAIR = People(Person(standing(30.0)), Person(standing(100.0), side=64))
"""Number 1 on the right, number 2 on the left of a clip."""


def scene(number: int, size: tuple[int, int]) -> Pixels:
    """A picture that changes a little from frame to frame."""
    return textured_frame(shape=(size[1], size[0], 3), seed=0) + np.uint8(number)


def make_clip(path: Path, frames: int = 5) -> Path:
    """A clip of `scene`."""
    return write_clip(path, tuple(range(0, 40 * frames, 40)), size=SIZE, picture=scene, sound=None)
