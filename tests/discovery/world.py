"""A tiny world: faces are pictures whose blocks of pixels are numbers, and the labeller reads the numbers back."""

from __future__ import annotations

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.discovery.observe import Seen

N_CODES = 7
CODE_SIZE = 8
MEASURES = ("smile", "age", "yaw")
LEVEL_OF = {"smile": 1, "age": 1, "yaw": 0}
"""The level (0: code 0, 1: codes 1 and 2, 2: codes 4 to 6) whose codes make each measure."""
ROWS = 8
"""Rows of a picture that carry one measure; a JPEG block, so that measures do not mix."""


def true_slopes() -> Array:
    """(n_measures, n_codes, CODE_SIZE): smile and age overlap, yaw lives in another code."""
    slopes = np.zeros((len(MEASURES), N_CODES, CODE_SIZE), np.float32)
    slopes[0, 1, :2] = 0.5, 0.25
    slopes[1, 2, :3] = 0.0, 0.4, 0.4
    slopes[2, 0, 4] = 1.0
    return slopes


class World:
    """Generator and labeller of the tiny world; counts how many pictures it made and looked at."""

    measures: tuple[str, ...] = MEASURES
    version = "1"

    def __init__(self) -> None:
        self.pictures = 0
        self.observed = 0
        self.faceless = False

    def synthesize(self, codes: Array) -> Array:
        """Codes (B, 7, 8) → (B, 3, 24, 24): the grey level of a third of the rows is a measure, squashed."""
        self.pictures += len(codes)
        values = np.einsum("mcd,bcd->bm", true_slopes(), codes) / 8
        rows = np.repeat(values, ROWS, axis=1)
        images = np.broadcast_to(rows[:, None, :, None], (len(codes), 3, 3 * ROWS, 3 * ROWS))
        return np.ascontiguousarray(images, np.float32)

    def observe(self, images: Pixels) -> Seen:
        """Only that there is a picture."""
        self.observed += len(images)
        return {"landmarks": np.zeros((len(images), 478, 2), np.float32)}

    def measure(self, images: Pixels, seen: Seen) -> Array:
        """RGB (B, 24, 24, 3) → (B, 3): the mean of the rows that carry each measure."""
        thirds = images.reshape(len(images), 3, ROWS, -1).astype(np.float32)
        values: Array = (thirds.mean((2, 3)) / 127.5 - 1) * 8
        return values if not self.faceless else np.full_like(values, np.nan)

    def __call__(self, images: Pixels) -> Array:
        """Both."""
        return self.measure(images, self.observe(images))


def draw(seed: int, count: int) -> Array:
    """Codes (count, 7, 8); the levels take independent ones, within a level both codes are the same."""
    random = np.random.default_rng(seed)
    levels = random.standard_normal((count, 3, CODE_SIZE)).astype(np.float32)
    codes: Array = levels[:, [0, 1, 1, 1, 2, 2, 2]]
    return codes
