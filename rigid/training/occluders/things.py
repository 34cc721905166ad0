"""Cups, phones, microphones, masks, cords, cloths and anything else before a face, drawn."""

from __future__ import annotations

import cv2
import numpy as np

from rigid.arrays import Array, Labels, Pixels
from rigid.models.contract import CLASSES
from rigid.training.occluders.hands import draw_hand, hold
from rigid.training.occluders.layer import (
    Layer,
    Random,
    any_colour,
    bar,
    direction,
    draw_border_angle,
    draw_target,
    nothing,
    polygon,
    texture,
)

FACE = tuple(CLASSES.index(name) for name in ("skin", "nose", "lips", "mouth"))


def draw_cup(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A cup, glass or bottle, lit as a cylinder, most often held by a hand."""
    layer, middle, tilt = nothing(picture.shape[0]), draw_target(random), float(random.normal(0, 0.35))
    colour, size = any_colour(random), picture.shape[0]
    up, across = direction(tilt - np.pi / 2), direction(tilt)
    broad, tall, bottom = (float(random.uniform(*ends)) for ends in ((0.08, 0.2), (0.1, 0.3), (0.65, 1.05)))
    if random.random() < 0.5:
        ring = np.zeros((size, size), np.float32)
        place, thick = (middle + random.choice([-1, 1]) * broad * across) * size, max(2, int(0.03 * size))
        axes = (int(0.5 * broad * size) + 1, int(0.6 * tall * size) + 1)
        cv2.ellipse(ring, tuple(map(int, place)), axes, float(np.degrees(tilt)), 0, 360, 1.0, thick, cv2.LINE_AA)
        layer.cover(np.s_[:, :], 0.85 * colour, ring)
    ends = ((1, -1), (1, 1), (-1, bottom), (-1, -bottom))
    polygon(layer, np.stack([middle + a * tall * up + b * broad * across for a, b in ends]), colour)
    layer = _as_a_cylinder(layer, middle, across, broad, random)
    rim, centre = np.zeros((size, size), np.float32), tuple(map(int, (middle + tall * up) * size))
    axes = (int(broad * size), int(0.25 * broad * size) + 1)
    cv2.ellipse(rim, centre, axes, float(np.degrees(tilt)), 0, 360, 1.0, -1, cv2.LINE_AA)
    layer.cover(np.s_[:, :], np.clip(colour * np.float32(random.uniform(0.4, 1.2)), 0, 255), rim)
    if random.random() < 0.6:
        hold(layer, picture, labels, middle, random)
    return texture(layer, random, 0.05)


def _as_a_cylinder(layer: Layer, middle: Array, across: Array, broad: float, random: Random) -> Layer:
    """Lit from a side, with a band of another colour."""
    size = layer.alpha.shape[0]
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / size
    place = ((x - middle[0]) * across[0] + (y - middle[1]) * across[1]) / broad
    along = ((x - middle[0]) * -across[1] + (y - middle[1]) * across[0]) / broad
    shade = 0.7 + 0.35 * np.sqrt(np.clip(1 - (place - random.uniform(-0.6, 0.6)) ** 2, 0, 1))
    colours = layer.colours.copy()
    if random.random() < 0.5:
        low, high = np.sort(random.uniform(-1.2, 1.2, 2))
        colours[(along > low) & (along < high)] = any_colour(random)
    return Layer(np.clip(shade[..., None] * colours, 0, 255).astype(np.float32), layer.alpha)


def draw_phone(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A phone, card, book or sheet: a rectangle with a border, a lens or lines on it."""
    layer, middle, tilt = nothing(picture.shape[0]), draw_target(random), float(random.normal(0, 0.5))
    across, up = direction(tilt), direction(tilt - np.pi / 2)
    broad, tall = float(random.uniform(0.07, 0.2)), float(random.uniform(0.12, 0.28))

    def sheet(share: float) -> Array:
        ends = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return np.stack([middle + x * share * broad * across + y * (tall - (1 - share) * broad) * up for x, y in ends])

    polygon(layer, sheet(1.0), any_colour(random) * np.float32(random.choice([0.2, 1.0])))
    if random.random() < 0.6:
        polygon(layer, sheet(0.88), any_colour(random))
    for _ in range(int(random.integers(0, 5))):
        place = middle + random.uniform(-0.7, 0.7) * broad * across + random.uniform(-0.8, 0.8) * tall * up
        end = place + random.uniform(0, 0.6) * broad * across
        polygon(layer, np.stack([place, end, end + 0.03 * up, place + 0.03 * up]), any_colour(random), layer.alpha)
    layer = texture(layer, random, 0.06)
    if random.random() < 0.7:
        hold(layer, picture, labels, middle - 0.6 * tall * up, random)
    return layer


def draw_microphone(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A ball of mesh or foam on a rod, from below or from a side; often held."""
    layer, away = nothing(picture.shape[0]), draw_border_angle(random)
    middle, light, radius = draw_target(random), direction(random.uniform(0, 6)), float(random.uniform(0.04, 0.11))
    thick = (0.55 * radius, float(random.uniform(0.3, 0.6)) * radius)
    shade = np.float32(random.choice([0.3, 1.0]))
    bar(layer, middle, middle + 1.4 * direction(away), thick, any_colour(random) * shade, light)
    ball = nothing(picture.shape[0])
    dark = any_colour(random) * np.float32(random.choice([0.25, 0.25, 1.0]))
    bar(ball, middle - 0.4 * radius * direction(away), middle, (radius, radius), dark, light)
    mesh = random.normal(1, 0.25, (*ball.alpha.shape, 1)).astype(np.float32)
    layer.cover(np.s_[:, :], np.clip(ball.colours * mesh, 0, 255), ball.alpha)
    if random.random() < 0.5:
        hold(layer, picture, labels, middle + 2 * radius * direction(away), random)
    return layer


def draw_mask(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A cloth or paper mask from the nose's bridge to below the chin, with folds and straps."""
    size = picture.shape[0]
    face = np.isin(labels, FACE)
    rows = np.flatnonzero(face.any(1))
    nose = np.flatnonzero((labels == CLASSES.index("nose")).any(1))
    top = int(np.percentile(nose, random.uniform(15, 60))) if len(nose) else int(0.55 * size)
    covered = (face & (np.arange(size)[:, None] >= top)).astype(np.uint8)
    contours = cv2.findContours(covered, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    if len(rows) < 0.2 * size or not contours:
        return draw_cloth(picture, labels, random)
    outline = np.asarray(cv2.convexHull(np.concatenate(contours))[:, 0] / size, np.float32)
    middle = outline.mean(0)
    outline = middle + (outline - middle) * random.uniform((0.9, 0.95), (1.05, 1.15)).astype(np.float32)
    ridge = np.array([[middle[0], outline[:, 1].min() - random.uniform(0, 0.07)]], np.float32)
    outline = np.asarray(cv2.convexHull(np.concatenate((outline, ridge)))[:, 0], np.float32)
    layer, colour, unlit = nothing(size), any_colour(random), np.zeros(2, np.float32)
    for side in (outline[:, 0].argmin(), outline[:, 0].argmax()):
        out = np.float32(np.sign(outline[side, 0] - middle[0]) * 0.12)
        for rise in (-0.08, 0.12):
            start = outline[side] + np.array([0, max(rise, 0)], np.float32)
            bar(layer, start, start + np.array([out, rise - 0.06], np.float32), (0.006, 0.006), colour, unlit)
    polygon(layer, outline, colour)
    y = np.arange(size, dtype=np.float32)[:, None, None] / size
    folds = 1 + random.uniform(0, 0.12) * np.sin(y * random.uniform(40, 90) + random.uniform(0, 6))
    return texture(Layer(np.clip(layer.colours * folds, 0, 255).astype(np.float32), layer.alpha), random, 0.08)


def draw_cord(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A cord, wire, straw or the boom of a headset: thin and bent, of one colour."""
    layer, size = nothing(picture.shape[0]), picture.shape[0]
    start, end = random.uniform(-0.1, 1.1, (2, 2))
    bend = (start + end) / 2 + random.normal(0, 0.2, 2)
    t = np.linspace(0, 1, 24)[:, None]
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    alpha = np.zeros((size, size), np.float32)
    thick = max(1, round(float(random.uniform(0.012, 0.04)) * size))
    cv2.polylines(alpha, [np.rint(path * size * 16).astype(np.int32)], False, 1.0, thick, cv2.LINE_AA, 4)
    layer.cover(np.s_[:, :], any_colour(random), alpha)
    return texture(layer, random, 0.1)


def draw_cloth(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A rag, pillow, plush animal, leaf: a smooth blot with folds, checks or stripes."""
    layer, size, middle = nothing(picture.shape[0]), picture.shape[0], draw_target(random)
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = sum(random.normal(0, 0.25 / k) * np.cos(k * turns + random.uniform(0, 6)) for k in (1, 2, 3, 5))
    radius = float(random.uniform(0.08, 0.3)) * np.clip(1 + waves, 0.3, 2)
    stretched = np.stack([np.cos(turns), np.sin(turns) * random.uniform(0.5, 1.5)], 1) * radius[:, None]
    polygon(layer, (middle + stretched).astype(np.float32), any_colour(random))
    if random.random() < 0.5:
        y, x = np.mgrid[:size, :size].astype(np.float32) / size
        across = direction(random.uniform(0, np.pi)) * np.float32(random.uniform(20, 120))
        stripes = np.sin(x * across[0] + y * across[1]) > random.uniform(-0.5, 0.8)
        layer.cover(np.s_[:, :], any_colour(random), stripes * layer.alpha)
    return texture(layer, random, 0.2, (3, 8, 24))


def draw_patch(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """Another part of the picture itself, turned and mirrored, in the outline of something else."""
    size = picture.shape[0]
    shape = (draw_cloth, draw_phone, draw_cup, draw_hand)[int(random.integers(4))](picture, labels, random)
    turned = np.rot90(picture[:, ::-1], int(random.integers(1, 4)))
    shift = random.integers(0, size, 2)
    colours = np.roll(turned, tuple(map(int, shift)), (0, 1)).astype(np.float32)
    return Layer(np.ascontiguousarray(colours) * np.float32(random.uniform(0.6, 1.3)), shape.alpha)
