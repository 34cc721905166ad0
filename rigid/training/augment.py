"""Camera-like degradation of generated faces: what a webcam and a codec do to a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rigid.arrays import Pixels


def recolour(picture: Pixels, random: np.random.Generator) -> Pixels:
    """Exposure, gamma and white balance, mildly. `picture` (H, W, 3) RGB uint8; the same comes back.

    A change of light is part of the face that is to be shown, so targets are recoloured with their inputs.
    """
    gains = random.normal(1, 0.08) * random.normal(1, 0.04, 3)
    gamma = np.exp(random.normal(0, 0.12))
    table = 255 * (np.arange(256)[:, None] / 255) ** gamma * gains
    return np.asarray(cv2.LUT(picture, np.clip(table, 0, 255).astype(np.uint8)[:, None]), np.uint8)


def relight(picture: Pixels, random: np.random.Generator) -> Pixels:
    """Little light, or light from one side: darker by a gain that falls across the picture, shadows deeper, a cast.

    `picture` (H, W, 3) RGB uint8; the same comes back. As with `recolour`, what is to be shown changes with it.
    """
    angle, depth, middle = random.uniform(0, 2 * np.pi), random.uniform(0, 0.8), random.uniform(0.35, 0.9)
    y, x = np.linspace(-1, 1, picture.shape[0])[:, None], np.linspace(-1, 1, picture.shape[1])[None]
    falling = 1 - depth / (1 + np.exp(3 * (np.cos(angle) * x + np.sin(angle) * y)))
    cast = 1 + np.array([1.0, 0.0, -1.0]) * random.normal(0, 0.08)
    lit = (picture / 255) ** random.uniform(1, 1.3) * (middle * falling)[..., None] * cast
    return _bytes(np.clip(255 * lit, 0, 255))


def degrade(picture: Pixels, random: np.random.Generator) -> Pixels:
    """Blur, lost resolution, sensor noise, JPEG, and a slightly wrong alignment; inputs only."""
    return _spoil(_misalign(picture, random), random)


def degrade_alike(pictures: Sequence[Pixels], random: np.random.Generator) -> list[Pixels]:
    """The frames of one clip as one camera shows them: spoilt all in the same way, with noise that moves.

    Their alignment stays exact; what moves from frame to frame is for the episode to decide.
    """
    seed = int(random.integers(2**32))
    noise = 6 * max(0.0, random.random() - 0.5)
    spoiled = [_spoil(picture, np.random.default_rng(seed)) for picture in pictures]
    return [_bytes(np.clip(picture + random.normal(0, noise, picture.shape), 0, 255)) for picture in spoiled]


def _spoil(picture: Pixels, random: np.random.Generator) -> Pixels:
    for likelihood, spoil in ((0.4, _lose_resolution), (0.2, _blur), (0.3, _add_noise), (0.4, _compress)):
        if random.random() < likelihood:
            picture = spoil(picture, random)
    return picture


def _lose_resolution(picture: Pixels, random: np.random.Generator) -> Pixels:
    size = picture.shape[0]
    small = int(size * random.uniform(0.35, 0.9))
    return _bytes(cv2.resize(cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA), (size, size)))


def _blur(picture: Pixels, random: np.random.Generator) -> Pixels:
    return _bytes(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 1.0)))


def _add_noise(picture: Pixels, random: np.random.Generator) -> Pixels:
    noise = random.normal(0, random.uniform(1, 8), picture.shape)
    return _bytes(np.clip(picture + noise, 0, 255))


def _compress(picture: Pixels, random: np.random.Generator) -> Pixels:
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 92))])
    return _bytes(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def _misalign(picture: Pixels, random: np.random.Generator) -> Pixels:
    centre = picture.shape[0] / 2
    transform = cv2.getRotationMatrix2D((centre, centre), random.normal(0, 0.7), float(np.exp(random.normal(0, 0.008))))
    transform[:, 2] += random.normal(0, 0.004, 2) * picture.shape[0]
    return np.asarray(
        cv2.warpAffine(picture, transform, picture.shape[:2], borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def _bytes(picture: object) -> Pixels:
    return np.asarray(picture, np.uint8)
