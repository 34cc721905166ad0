"""A face with something before it, in its light and with a shadow on what is behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from rigid.arrays import Array, Labels, Pixels
from rigid.models.contract import CLASSES
from rigid.training.occluders.hands import draw_arm, draw_hand
from rigid.training.occluders.layer import Layer, Random, soften
from rigid.training.occluders.things import (
    draw_cloth,
    draw_cord,
    draw_cup,
    draw_mask,
    draw_microphone,
    draw_patch,
    draw_phone,
)

OTHER = CLASSES.index("other")


def occlude(picture: Pixels, labels: Labels, random: Random) -> tuple[Pixels, Labels]:
    """`picture` (S, S, 3) RGB with something before it that casts a shadow, and its `labels` (S, S) with `OTHER`."""
    kinds = list(OCCLUDERS.values())
    kind = kinds[int(random.choice(len(kinds), p=[kind.share for kind in kinds]))]
    return paste(picture, labels, kind.draw(picture, labels, random), random)


def paste(picture: Pixels, labels: Labels, layer: Layer, random: Random) -> tuple[Pixels, Labels]:
    """`layer` before `picture`, in the picture's light, with a shadow on what is behind."""
    size = picture.shape[0]
    soft = float(random.uniform(0.3, 1.1)) * size / 128
    alpha, colours = soften(layer.alpha, soft), soften(layer.colours * layer.alpha[..., None], soft)
    if random.random() < 0.15:
        alpha, colours = (_blur_by_motion(array, random) for array in (alpha, colours))
    light = float(np.clip(picture.mean() / 120, 0.25, 1.25)) * float(random.uniform(0.75, 1.2))
    behind = picture.astype(np.float32) * (1 - _shadow(layer.alpha, random))[..., None]
    shown = light * colours + (1 - alpha[..., None]) * behind
    return np.clip(shown, 0, 255).astype(np.uint8), np.where(alpha > 0.5, np.uint8(OTHER), labels)


def _shadow(alpha: Array, random: Random) -> Array:
    """How much darker the picture is near what lies before it."""
    size = alpha.shape[0]
    x, y = random.normal(0, 0.02, 2) * size
    moved = cv2.warpAffine(alpha, np.array([[1, 0, x], [0, 1, y]]), (size, size))
    spread = soften(np.asarray(moved, np.float32), float(random.uniform(0.01, 0.05)) * size)
    return np.float32(random.uniform(0, 0.6)) * spread


def _blur_by_motion(array: Array, random: Random) -> Array:
    """`array` as a movement along one line smears it."""
    length = int(random.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = random.uniform(0, np.pi)
    end = (np.array([np.cos(angle), np.sin(angle)]) * length / 2 + length / 2).round().astype(int)
    start = length - end
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
    return np.asarray(cv2.filter2D(array, -1, kernel / max(float(kernel.sum()), 1.0)), np.float32)


@dataclass(frozen=True)
class Occluder:
    """A kind of thing, and how often it is drawn."""

    draw: Callable[[Pixels, Labels, Random], Layer]
    share: float


OCCLUDERS = {
    "hand": Occluder(draw_hand, 0.34),
    "arm": Occluder(draw_arm, 0.06),
    "cup": Occluder(draw_cup, 0.13),
    "phone": Occluder(draw_phone, 0.12),
    "microphone": Occluder(draw_microphone, 0.12),
    "mask": Occluder(draw_mask, 0.06),
    "cord": Occluder(draw_cord, 0.04),
    "cloth": Occluder(draw_cloth, 0.08),
    "patch": Occluder(draw_patch, 0.05),
}
