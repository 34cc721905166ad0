"""What comes before a face, drawn: hands and arms, cups, phones, microphones, masks, cords, cloths, anything.

Each is a `Layer` over a picture of S². Places and lengths are in sides of the picture; x runs right, y down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.models.face_parser import CLASSES

Labels = Pixels
Random = np.random.Generator

OTHER = CLASSES.index("other")
FACE = tuple(CLASSES.index(name) for name in ("skin", "nose", "lips", "mouth"))
# fmt: off
SKIN_TONES = np.array([
    (246, 237, 228), (243, 231, 219), (247, 234, 208), (234, 218, 186), (215, 189, 150),
    (160, 126, 86), (130, 92, 67), (96, 65, 52), (58, 49, 42), (41, 36, 32),
], np.float32)
# fmt: on
"""The ten tones of the Monk scale (Monk, 2019), RGB."""
OWN_TONE = 0.55
"""How often a hand has the colour of the face behind it: the case that is hard to tell."""


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


def occlude(picture: Pixels, labels: Labels, random: Random) -> tuple[Pixels, Labels]:
    """`picture` (S, S, 3) RGB with something before it that casts a shadow, and its `labels` (S, S) with `OTHER`."""
    kinds = list(OCCLUDERS)
    kind = kinds[int(random.choice(len(kinds), p=[OCCLUDERS[name].share for name in kinds]))]
    return paste(picture, labels, OCCLUDERS[kind].draw(picture, labels, random), random)


def paste(picture: Pixels, labels: Labels, layer: Layer, random: Random) -> tuple[Pixels, Labels]:
    """`layer` before `picture`, in the picture's light, with a shadow on what is behind."""
    size = picture.shape[0]
    soft = float(random.uniform(0.3, 1.1)) * size / 128
    alpha, colours = _soft(layer.alpha, soft), _soft(layer.colours * layer.alpha[..., None], soft)
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
    spread = _soft(np.asarray(moved, np.float32), float(random.uniform(0.01, 0.05)) * size)
    return np.float32(random.uniform(0, 0.6)) * spread


def _soft(array: Array, spread: float) -> Array:
    return np.asarray(cv2.GaussianBlur(array, (0, 0), spread), np.float32)


def _blur_by_motion(array: Array, random: Random) -> Array:
    """Blurred by motion."""
    length = int(random.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = random.uniform(0, np.pi)
    end = (np.array([np.cos(angle), np.sin(angle)]) * length / 2 + length / 2).round().astype(int)
    start = length - end
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
    return np.asarray(cv2.filter2D(array, -1, kernel / max(float(kernel.sum()), 1.0)), np.float32)


# What things are drawn from.


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


def _direction(angle: float) -> Array:
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def _tone(picture: Pixels, labels: Labels, random: Random) -> Array:
    """A hand's colour: the face's own, or any skin's."""
    skin = picture[labels == FACE[0]]
    if len(skin) and random.random() < OWN_TONE:
        return np.asarray(np.median(skin, 0) * random.uniform(0.85, 1.25) + random.normal(0, 5, 3), np.float32)
    tone = SKIN_TONES[int(random.integers(len(SKIN_TONES)))]
    return np.asarray(tone * random.uniform(0.7, 1.05) + random.normal(0, 5, 3), np.float32)


def _target(random: Random) -> Array:
    """Where an occluder's middle lies: mostly before the face."""
    return random.normal((0.5, 0.6), (0.22, 0.2)).astype(np.float32)


def _border_angle(random: Random) -> float:
    """The direction in which an arm leaves the picture: down or to a side, seldom up."""
    return float(random.normal(np.pi / 2, 0.8))


# The things.


def draw_hand(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A hand with its arm, in a sleeve or bare: spread, fist or pointing, held before the face."""
    tone, away = _tone(picture, labels, random), _border_angle(random)
    layer = nothing(picture.shape[0])
    hand(layer, _target(random), away, float(random.uniform(0.22, 0.6)), tone, random)
    if random.random() < 0.2:
        hand(layer, _target(random), _border_angle(random), float(random.uniform(0.25, 0.5)), tone, random)
    return texture(layer, random, 0.06)


def hand(layer: Layer, middle: Array, away: float, length: float, tone: Array, random: Random) -> None:
    """A hand about `middle`, its arm leaving along the angle `away`; `length`: from the wrist to the fingertips."""
    light, across, down = _direction(random.uniform(0, 2 * np.pi)), _direction(away + np.pi / 2), _direction(away)
    palm, broad, mirrored = 0.45 * length, 0.19 * length, random.choice([-1, 1])
    wrist = middle + 0.5 * length * down
    knuckles = [wrist - palm * down + mirrored * side * broad * across for side in np.linspace(-1, 1, 4)]
    _arm(layer, wrist, down, palm, tone, light, random)
    for knuckle, side in zip(knuckles, np.linspace(-1, 1, 4), strict=True):
        bar(
            layer,
            wrist + mirrored * side * 0.6 * broad * across,
            knuckle,
            (0.12 * length, 0.1 * length),
            tone,
            0.3 * light,
        )
    spread, bend = random.uniform(0.0, 0.25), random.choice([0.0, 0.2, 0.7, 1.1], p=[0.35, 0.25, 0.2, 0.2])
    pointing = random.random() < 0.15
    for number, knuckle in enumerate(knuckles):
        reach = length * (0.5, 0.58, 0.54, 0.42)[number] * random.uniform(0.9, 1.1)
        turn = away + np.pi + mirrored * (number - 1.5) * spread
        bent = 1.2 if pointing and number else 0.0 if pointing else bend
        _finger(layer, knuckle, turn, reach, bent, 0.078 * length, tone, light, random)
    side = -mirrored * across
    thumb = wrist - 0.25 * palm * down + broad * side
    turn = away + np.pi + mirrored * random.uniform(-1.1, 0.2)
    _finger(layer, thumb, turn, 0.5 * length, 0.1, 0.09 * length, tone, light, random)


def _arm(layer: Layer, wrist: Array, down: Array, palm: float, tone: Array, light: Array, random: Random) -> None:
    elbow = wrist + np.float32(1.5) * (down + random.normal(0, 0.3, 2).astype(np.float32))
    bar(layer, wrist - 0.2 * palm * down, elbow, (0.5 * palm, 1.2 * palm), tone, light)
    if random.random() < 0.5:
        start = wrist + random.uniform(0.2, 1.2) * palm * down
        bar(layer, start, elbow, (0.7 * palm, 1.4 * palm), any_colour(random), light)


def _finger(
    layer: Layer,
    knuckle: Array,
    angle: float,
    reach: float,
    bent: float,
    radius: float,
    tone: Array,
    light: Array,
    random: Random,
) -> None:
    """Three joints, a crease between them and, from behind, a nail."""
    start, turn = knuckle, random.choice([-1, 1]) * random.uniform(0, 0.2)
    for part, share in enumerate((0.45, 0.32, 0.23)):
        # a finger bent towards the camera looks short
        end = start + np.float32(reach * share * max(0.25, np.cos(bent * (part + 0.5)))) * _direction(
            angle + turn * part
        )
        narrow = radius * (1 - 0.12 * part)
        bar(layer, start, end, (narrow, 0.9 * narrow), np.float32(random.uniform(0.92, 1.05)) * tone, light)
        start = end
    if bent < 0.5 and random.random() < 0.5:
        nail = any_colour(random) if random.random() < 0.3 else np.clip(tone * 1.12 + 10, 0, 255)
        tip = start + 0.1 * radius * _direction(angle)
        bar(layer, tip, tip + 0.5 * radius * _direction(angle), (0.6 * radius, 0.6 * radius), nail, light)


def draw_arm(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A bare or sleeved arm across the picture."""
    layer, tone = nothing(picture.shape[0]), _tone(picture, labels, random)
    angle, middle = random.uniform(0, 2 * np.pi), _target(random)
    colour = tone if random.random() < 0.6 else any_colour(random)
    radii = (float(random.uniform(0.05, 0.12)), float(random.uniform(0.06, 0.18)))
    start, end = middle - _direction(angle) * np.float32(random.uniform(0.1, 1)), middle + 1.4 * _direction(angle)
    bar(layer, start, end, radii, colour, _direction(random.uniform(0, 6)))
    return texture(layer, random, 0.08)


def draw_cup(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A cup, glass or bottle, lit as a cylinder, most often held by a hand."""
    layer, middle, tilt = nothing(picture.shape[0]), _target(random), float(random.normal(0, 0.35))
    colour, size = any_colour(random), picture.shape[0]
    up, across = _direction(tilt - np.pi / 2), _direction(tilt)
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
        _hold(layer, picture, labels, middle, random)
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


def _hold(layer: Layer, picture: Pixels, labels: Labels, middle: Array, random: Random) -> None:
    """Fingers round the thing, and the arm below."""
    away, tone = _border_angle(random), _tone(picture, labels, random)
    hand(layer, middle + 0.08 * _direction(away), away, float(random.uniform(0.2, 0.4)), tone, random)


def draw_phone(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A phone, card, book or sheet: a rectangle with a border, a lens or lines on it."""
    layer, middle, tilt = nothing(picture.shape[0]), _target(random), float(random.normal(0, 0.5))
    across, up = _direction(tilt), _direction(tilt - np.pi / 2)
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
        _hold(layer, picture, labels, middle - 0.6 * tall * up, random)
    return layer


def draw_microphone(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A ball of mesh or foam on a rod, from below or from a side; often held."""
    layer, away = nothing(picture.shape[0]), _border_angle(random)
    middle, light, radius = _target(random), _direction(random.uniform(0, 6)), float(random.uniform(0.04, 0.11))
    thick = (0.55 * radius, float(random.uniform(0.3, 0.6)) * radius)
    shade = np.float32(random.choice([0.3, 1.0]))
    bar(layer, middle, middle + 1.4 * _direction(away), thick, any_colour(random) * shade, light)
    ball = nothing(picture.shape[0])
    dark = any_colour(random) * np.float32(random.choice([0.25, 0.25, 1.0]))
    bar(ball, middle - 0.4 * radius * _direction(away), middle, (radius, radius), dark, light)
    mesh = random.normal(1, 0.25, (*ball.alpha.shape, 1)).astype(np.float32)
    layer.cover(np.s_[:, :], np.clip(ball.colours * mesh, 0, 255), ball.alpha)
    if random.random() < 0.5:
        _hold(layer, picture, labels, middle + 2 * radius * _direction(away), random)
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
    layer, size, middle = nothing(picture.shape[0]), picture.shape[0], _target(random)
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = sum(random.normal(0, 0.25 / k) * np.cos(k * turns + random.uniform(0, 6)) for k in (1, 2, 3, 5))
    radius = float(random.uniform(0.08, 0.3)) * np.clip(1 + waves, 0.3, 2)
    stretched = np.stack([np.cos(turns), np.sin(turns) * random.uniform(0.5, 1.5)], 1) * radius[:, None]
    polygon(layer, (middle + stretched).astype(np.float32), any_colour(random))
    if random.random() < 0.5:
        y, x = np.mgrid[:size, :size].astype(np.float32) / size
        across = _direction(random.uniform(0, np.pi)) * np.float32(random.uniform(20, 120))
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


Draw = Callable[[Pixels, Labels, Random], Layer]


@dataclass(frozen=True)
class Occluder:
    """A kind of thing, and how often it is drawn."""

    draw: Draw
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
