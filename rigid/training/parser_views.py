"""What a camera makes of a labelled face: where it stands, what it stands before, light, noise and codecs."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Labels, Pixels
from rigid.models.contract import CLASSES
from rigid.training.augment import degrade, recolour
from rigid.training.occluders.layer import Random, any_colour
from rigid.training.occluders.occlude import occlude

BACKGROUND = CLASSES.index("background")
OCCLUDED = 0.5
OTHER_BACKGROUND = 0.3
RELIT, DIM, GREY = 0.5, 0.2, 0.08
TINT = 0.12
"""Standard deviation of a colour's gain, in logarithms."""


def view(picture: Pixels, labels: Labels, backdrop: Pixels, random: Random) -> tuple[Pixels, Labels]:
    """`picture` (S, S, 3) RGB and its `labels` (S, S) as some camera shows them, mostly with something before them.

    `backdrop` (S, S, 3): another picture, of which parts may stand behind the face.
    """
    if random.random() < OTHER_BACKGROUND:
        picture = _before(picture, labels, backdrop, random)
    if random.random() < OCCLUDED:
        picture, labels = occlude(picture, labels, random)
    picture, labels = _place(picture, labels, random)
    picture = _relit(picture, random) if random.random() < RELIT else picture
    picture = _tint(recolour(picture, random), random)
    if random.random() < DIM:
        picture = _dim(picture, random)
    return degrade(picture, random), labels


def _before(picture: Pixels, labels: Labels, backdrop: Pixels, random: Random) -> Pixels:
    """The face before something else: a blown-up part of another picture, or a room of plain areas."""
    size = picture.shape[0]
    if random.random() < 0.5:
        side = int(size * random.uniform(0.2, 0.9))
        y, x = random.integers(0, size - side + 1, 2)
        behind = cv2.resize(backdrop[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_CUBIC)
        behind = np.asarray(behind[:, ::-1] if random.random() < 0.5 else behind)
    else:
        behind = _room(size, random)
    mask = cv2.GaussianBlur((labels == BACKGROUND).astype(np.float32), (0, 0), 0.8)[..., None]
    return _bytes(picture + mask * (behind.astype(np.float32) - picture))


def _room(size: int, random: Random) -> Pixels:
    """A wall with a slope of light, and boards, doors and pictures on it."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    slopes = random.normal(0, 60, 2)
    room = any_colour(random) + (slopes[0] * x + slopes[1] * y)[..., None]
    room = np.ascontiguousarray(np.clip(room, 0, 255), np.float32)
    for _ in range(int(random.integers(0, 7))):
        corner, extent = random.uniform(-0.2, 1, 2) * size, random.uniform(0.03, 0.6, 2) * size
        ends = (tuple(map(int, corner)), tuple(map(int, corner + extent)))
        cv2.rectangle(room, *ends, any_colour(random).tolist(), -1 if random.random() < 0.7 else 2)
    blurred = cv2.GaussianBlur(room, (0, 0), float(random.uniform(0.2, 4)))
    return _bytes(blurred + random.normal(0, random.uniform(0, 6), room.shape))


def _place(picture: Pixels, labels: Labels, random: Random) -> tuple[Pixels, Labels]:
    """Turned, scaled, shifted, mirrored: a little as a rule, at times much."""
    size = picture.shape[0]
    much = 3.0 if random.random() < 0.2 else 1.0
    angle, scale = much * random.normal(0, 4), float(np.exp(much * random.normal(0, 0.06)))
    transform = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
    transform[:, 2] += much * random.normal(0, 0.02, 2) * size
    if random.random() < 0.5:
        transform = transform @ np.array([[-1, 0, size - 1], [0, 1, 0], [0, 0, 1]])
    border = cv2.BORDER_REFLECT_101 if random.random() < 0.7 else cv2.BORDER_REPLICATE
    shown = cv2.warpAffine(picture, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    moved = cv2.warpAffine(labels, transform, (size, size), flags=cv2.INTER_NEAREST, borderMode=border)
    return np.asarray(shown, np.uint8), np.asarray(moved, np.uint8)


def _relit(picture: Pixels, random: Random) -> Pixels:
    """Light from one side, and shadows with soft or hard edges."""
    size = picture.shape[0]
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    across = (np.cos(angle) * x + np.sin(angle) * y + random.normal(0, 0.15)) / random.uniform(0.05, 0.6)
    gain = np.exp(random.normal(0, 0.35) * np.tanh(across))[..., None] * np.exp(random.normal(0, 0.06, 3))
    return _bytes(picture * gain)


def _tint(picture: Pixels, random: Random) -> Pixels:
    gains = np.exp(random.normal(0, TINT, 3) * random.random())
    contrast, middle = np.exp(random.normal(0, 0.15)), random.uniform(90, 150)
    shown = (picture.astype(np.float32) - middle) * contrast + middle
    if random.random() < GREY:
        shown = np.broadcast_to(shown.mean(2, keepdims=True), shown.shape)
    return _bytes(shown * gains)


def _dim(picture: Pixels, random: Random) -> Pixels:
    """Too little light: dark, or brightened again, with coarse noise."""
    gain = random.uniform(0.12, 0.6)
    dim = picture * gain + random.normal(0, random.uniform(1, 6), picture.shape)
    if random.random() < 0.4:
        dim = dim / gain * random.uniform(0.5, 1)
    return _bytes(dim)


def _bytes(picture: NDArray[np.floating[Any]]) -> Pixels:
    return np.asarray(np.clip(picture, 0, 255), np.uint8)
