"""A layer that lies before a face, over a picture of S², and the bars, shapes and textures that things are drawn from.

Places and lengths are in sides of the picture; x runs right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rigid.arrays import Array

Random = np.random.Generator


@dataclass(frozen=True)
class Layer:
    """`colours` (S, S, 3) RGB in [0, 255] and how far they cover, `alpha` (S, S) in [0, 1]; float32."""

    colours: Array
    alpha: Array

    def cover(self, box: tuple[slice, slice], colours: Array, alpha: Array) -> None:
        """Draw what covers the places `box` by `alpha` (h, w); `colours` (h, w, 3), or one colour (3,)."""
        share = alpha[..., None]
        self.colours[box] += share * (colours - self.colours[box])
        np.maximum(self.alpha[box], alpha, out=self.alpha[box])


def nothing(size: int) -> Layer:
    """A layer that covers nothing."""
    return Layer(np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32))


def soften(array: Array, spread: float) -> Array:
    return np.asarray(cv2.GaussianBlur(array, (0, 0), spread), np.float32)


def bar(layer: Layer, start: Array, end: Array, radii: tuple[float, float], colour: Array, light: Array) -> None:
    """Draw on `layer` a round bar from `start` to `end` (2,), from one radius to the other, lit from `light` (2,)."""
    size = layer.alpha.shape[0]
    reach = max(radii) + 1 / size
    low = np.clip(np.floor((np.minimum(start, end) - reach) * size), 0, size).astype(int)
    high = np.clip(np.ceil((np.maximum(start, end) + reach) * size), 0, size).astype(int)
    if (high <= low).any():
        return
    box = np.s_[low[1] : high[1], low[0] : high[0]]
    y = (np.arange(low[1], high[1], dtype=np.float32)[:, None] + 0.5) / size
    x = (np.arange(low[0], high[0], dtype=np.float32) + 0.5) / size
    along = end - start
    share = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1e-8), 0, 1)
    away_x, away_y = x - start[0] - share * along[0], y - start[1] - share * along[1]
    radius = radii[0] + share * (radii[1] - radii[0])
    out = np.sqrt(away_x**2 + away_y**2) / radius
    alpha = np.clip((1 - out) * radius * size + 0.5, 0, 1)
    shade = 0.62 + 0.3 * np.sqrt(np.clip(1 - out**2, 0, 1)) + 0.18 * (away_x * light[0] + away_y * light[1]) / radius
    layer.cover(box, shade[..., None] * colour, alpha)


def polygon(layer: Layer, points: Array, colour: Array, within: Array | None = None) -> None:
    """Draw a flat shape with the corners `points` (N, 2), only where `within` (S, S) is."""
    size = layer.alpha.shape[0]
    alpha = np.zeros((size, size), np.float32)
    cv2.fillPoly(alpha, [np.rint(points * size * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    layer.cover(np.s_[:, :], colour, alpha if within is None else alpha * within)


def texture(layer: Layer, random: Random, strength: float, grains: Sequence[int] = (4, 12, 40)) -> Layer:
    """`layer` with blotches of several sizes, so many to a side, and an uneven light."""
    size = layer.alpha.shape[0]
    change = np.ones((size, size, 1), np.float32)
    for grain in grains:
        blotches = random.normal(0, strength / len(grains) ** 0.5, (grain, grain)).astype(np.float32)
        change += cv2.resize(blotches, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    slope = random.normal(0, 0.25, 2)
    change += (x * slope[0] + y * slope[1]).astype(np.float32)[..., None]
    return Layer(np.clip(layer.colours * change, 0, 255), layer.alpha)


def any_colour(random: Random) -> Array:
    """A thing's colour (3,): often dull, sometimes black, white or strong."""
    value = random.uniform(10, 250)
    strong = random.random() ** 2
    return np.asarray(np.clip(value + strong * random.normal(0, 90, 3), 0, 255), np.float32)


def direction(angle: float) -> Array:
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def draw_target(random: Random) -> Array:
    """Where an occluder's middle lies: mostly before the face."""
    return random.normal((0.5, 0.6), (0.22, 0.2)).astype(np.float32)


def draw_border_angle(random: Random) -> float:
    """The direction in which an arm leaves the picture: down or to a side, seldom up."""
    return float(random.normal(np.pi / 2, 0.8))
