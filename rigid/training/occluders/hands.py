"""Hands and arms before a face, drawn."""

from __future__ import annotations

import numpy as np

from rigid.arrays import Array, Labels, Pixels
from rigid.models.contract import CLASSES
from rigid.training.occluders.layer import (
    Layer,
    Random,
    any_colour,
    bar,
    direction,
    draw_border_angle,
    draw_target,
    nothing,
    texture,
)

SKIN = CLASSES.index("skin")
# fmt: off
MONK_TONES = np.array([
    (246, 237, 228), (243, 231, 219), (247, 234, 208), (234, 218, 186), (215, 189, 150),
    (160, 126, 86), (130, 92, 67), (96, 65, 52), (58, 49, 42), (41, 36, 32),
], np.float32)
# fmt: on
"""The ten published values of the Monk Skin Tone Scale (Monk, 2019; CC BY 4.0), sRGB, from light to dark."""
OWN_TONE = 0.55
"""How often a hand has the colour of the face behind it: the case that is hard to tell."""


def draw_tone(picture: Pixels, labels: Labels, random: Random) -> Array:
    """A hand's colour: the face's own, or any skin's."""
    skin = picture[labels == SKIN]
    if len(skin) and random.random() < OWN_TONE:
        return np.asarray(np.median(skin, 0) * random.uniform(0.85, 1.25) + random.normal(0, 5, 3), np.float32)
    tone = MONK_TONES[int(random.integers(len(MONK_TONES)))]
    return np.asarray(tone * random.uniform(0.7, 1.05) + random.normal(0, 5, 3), np.float32)


def draw_hand(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A hand with its arm, in a sleeve or bare: spread, fist or pointing, held before the face."""
    tone, away = draw_tone(picture, labels, random), draw_border_angle(random)
    layer = nothing(picture.shape[0])
    hand(layer, draw_target(random), away, float(random.uniform(0.22, 0.6)), tone, random)
    if random.random() < 0.2:
        hand(layer, draw_target(random), draw_border_angle(random), float(random.uniform(0.25, 0.5)), tone, random)
    return texture(layer, random, 0.06)


def hand(layer: Layer, middle: Array, away: float, length: float, tone: Array, random: Random) -> None:
    """A hand about `middle`, its arm leaving along the angle `away`; `length`: from the wrist to the fingertips."""
    light, across, down = direction(random.uniform(0, 2 * np.pi)), direction(away + np.pi / 2), direction(away)
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
        end = start + np.float32(reach * share * max(0.25, np.cos(bent * (part + 0.5)))) * direction(
            angle + turn * part
        )
        narrow = radius * (1 - 0.12 * part)
        bar(layer, start, end, (narrow, 0.9 * narrow), np.float32(random.uniform(0.92, 1.05)) * tone, light)
        start = end
    if bent < 0.5 and random.random() < 0.5:
        nail = any_colour(random) if random.random() < 0.3 else np.clip(tone * 1.12 + 10, 0, 255)
        tip = start + 0.1 * radius * direction(angle)
        bar(layer, tip, tip + 0.5 * radius * direction(angle), (0.6 * radius, 0.6 * radius), nail, light)


def draw_arm(picture: Pixels, labels: Labels, random: Random) -> Layer:
    """A bare or sleeved arm across the picture."""
    layer, tone = nothing(picture.shape[0]), draw_tone(picture, labels, random)
    angle, middle = random.uniform(0, 2 * np.pi), draw_target(random)
    colour = tone if random.random() < 0.6 else any_colour(random)
    radii = (float(random.uniform(0.05, 0.12)), float(random.uniform(0.06, 0.18)))
    start, end = middle - direction(angle) * np.float32(random.uniform(0.1, 1)), middle + 1.4 * direction(angle)
    bar(layer, start, end, radii, colour, direction(random.uniform(0, 6)))
    return texture(layer, random, 0.08)


def hold(layer: Layer, picture: Pixels, labels: Labels, middle: Array, random: Random) -> None:
    """Fingers round the thing, and the arm below."""
    away, tone = draw_border_angle(random), draw_tone(picture, labels, random)
    hand(layer, middle + 0.08 * direction(away), away, float(random.uniform(0.2, 0.4)), tone, random)
