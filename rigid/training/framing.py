"""Episodes that need no tracker: pictures that are aligned already, set in motion before a window of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels
from rigid.face.masks import feather
from rigid.geometry import inverse, resample
from rigid.training.episodes import Episode, make_flows
from rigid.training.flow import FlowEstimator


@dataclass(frozen=True)
class Cut:
    """How episodes are cut from clips."""

    frames: int
    """T."""
    per_clip: int
    """How many a clip, evenly spread."""
    crop_size: int
    window_size: int
    code_size: int


def assemble(
    name: str,
    crops: Pixels,
    windows: Pixels,
    masks: Pixels,
    placements: NDArray[np.float64],
    estimate: FlowEstimator,
    code_size: int,
    edited: Pixels | None = None,
    edit: Array | None = None,
) -> Episode:
    """An episode of pictures (T, H, W, 3) and masks (T, R, R), with its flows."""
    in_window = np.ascontiguousarray(windows.transpose(0, 3, 1, 2))
    nothing = np.zeros((0, *crops.shape[1:]), np.uint8)
    return Episode(
        name=name,
        crops=crops.transpose(0, 3, 1, 2),
        windows=in_window,
        masks=masks,
        placements=placements.astype(np.float32),
        flows=make_flows(in_window, estimate),
        edited=(nothing if edited is None else edited).transpose(0, 3, 1, 2),
        edit=np.zeros((0, code_size), np.float32) if edit is None else edit,
    )


def make_framed_episode(
    name: str,
    crops: Pixels,
    placements: NDArray[np.float64],
    cut: Cut,
    estimate: FlowEstimator,
    edited: Pixels | None = None,
    edit: Array | None = None,
) -> Episode:
    """An episode whose frames show nothing but the `crops` (T, S, S, 3) themselves, mirrored at their borders."""
    windows = [render_crop(picture, place, cut.window_size) for picture, place in zip(crops, placements, strict=True)]
    mask = feather(usual_mask(cut.crop_size))
    masks = np.stack([render_mask(mask, place, cut.window_size) for place in placements])
    return assemble(name, crops, np.stack(windows), masks, placements, estimate, cut.code_size, edited, edit)


def still_episodes(
    stills: Sequence[tuple[str, Pixels]], cut: Cut, estimate: FlowEstimator, seed: int
) -> Iterator[Episode]:
    """Each still as an episode of one frame shown T times, whose alignment jitters as a landmarker's does."""
    random = np.random.default_rng(seed)
    for name, still in stills:
        wander = framing(1, random)[0]
        jitters = [jitter(random) for _ in range(cut.frames)]
        placements = np.stack([_after(wander, moved) for moved in jitters])
        crops = [render_crop(still, inverse(moved), cut.crop_size) for moved in jitters]
        yield make_framed_episode(name, np.stack(crops), placements, cut, estimate)


def make_aligned_episodes(
    clips: Iterable[tuple[str, Sequence[Pixels]]], cut: Cut, estimate: FlowEstimator, seed: int
) -> Iterator[Episode]:
    """Episodes of clips of which only the aligned faces are there: evenly spread, each face moving as heads do."""
    random = np.random.default_rng(seed)
    for name, faces in clips:
        count = min(cut.per_clip, len(faces) - cut.frames + 1)
        for start in np.linspace(0, len(faces) - cut.frames, max(0, count)).astype(int):
            crops = np.stack(faces[start : start + cut.frames])
            yield make_framed_episode(name, crops, framing(cut.frames, random), cut, estimate)


def usual_mask(size: int) -> Array:
    """The inner face where it lies in an FFHQ-aligned crop as a rule, hard-edged (size, size)."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    inside = np.square((x - 0.5) / 0.28) + np.square((y - 0.54) / 0.33) < 1
    mask: Array = inside.astype(np.float32)
    return mask


def framing(frames: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Placements (frames, 2, 3) of a window in which a face moves as heads do: slowly, and a little."""
    start, speed = random.normal(0, 1, (2, 4)) * np.array([0.05, 0.06, 0.04, 0.04])
    moves = start + speed * np.arange(frames)[:, None] * 0.12
    return np.stack([_similarity(angle, 1.1 * np.exp(zoom), x, y) for angle, zoom, x, y in moves])


def jitter(random: np.random.Generator) -> NDArray[np.float64]:
    """An alignment that is a little off (2, 3): about half a pixel of 256."""
    angle, zoom, x, y = random.normal(0, 1, 4) * np.array([0.003, 0.003, 0.004, 0.004])
    return _similarity(angle, float(np.exp(zoom)), x, y)


def _similarity(angle: float, scale: float, x: float, y: float) -> NDArray[np.float64]:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]])


def _after(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The placement that applies `first`, then `second`."""
    return np.column_stack((second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]))


def render_crop(picture: Pixels, place: NDArray[np.float64], size: int) -> Pixels:
    """`picture` (S, S, 3) in a window of `size`, whose coordinates `place` takes to the picture's."""
    return resample(picture, _to_pixels(place, picture.shape[0], size), (size, size), cv2.BORDER_REFLECT)


def render_mask(mask: Array, place: NDArray[np.float64], size: int) -> Pixels:
    """`mask` (S, S) in [0, 1] in that window, uint8; nothing outside the crop."""
    shown = resample(mask, _to_pixels(place, mask.shape[0], size), (size, size), cv2.BORDER_CONSTANT)
    return np.rint(255 * shown).astype(np.uint8)


def _to_pixels(place: NDArray[np.float64], crop_size: int, window_size: int) -> NDArray[np.float64]:
    """The transform crop pixels → window pixels for a placement."""
    back = inverse(place)
    scale = window_size / crop_size
    linear = back[:, :2] * scale
    return np.column_stack((linear, window_size / 2 * (back[:, 2] + 1) - linear @ np.full(2, crop_size / 2)))
