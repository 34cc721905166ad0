"""A tiny world: faces are pictures whose blocks of pixels are numbers, and the labeller reads the numbers back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
N_CODES = 7
CODE_SIZE = 8
MEASURES = ("smile", "age", "yaw")
LEVEL_OF = {"smile": 1, "age": 1, "yaw": 0}
"""The level (0: code 0, 1: codes 1 and 2, 2: codes 4 to 6) whose codes make each measure."""


def true_slopes() -> Array:
    """(n_measures, n_codes, CODE_SIZE): smile and age overlap, yaw lives in another code."""
    slopes = np.zeros((len(MEASURES), N_CODES, CODE_SIZE), np.float32)
    slopes[0, 1, :2] = 0.5, 0.25
    slopes[1, 2, :3] = 0.0, 0.4, 0.4
    slopes[2, 0, 4] = 1.0
    return slopes


class World:
    """Generator and labeller of the tiny world; counts how many pictures it made."""

    measures: tuple[str, ...] = MEASURES

    def __init__(self) -> None:
        self.pictures = 0
        self.faceless = False

    def synthesize(self, codes: Array) -> Array:
        """Codes (B, 7, 8) → (B, 3, 16, 16): channel m holds measure m, squashed into [-1, 1]."""
        self.pictures += len(codes)
        values = np.einsum("mcd,bcd->bm", true_slopes(), codes) / 8
        images = np.broadcast_to(values[:, :, None, None], (len(codes), 3, 16, 16))
        return np.ascontiguousarray(images, np.float32)

    def __call__(self, images: NDArray[np.uint8]) -> Array:
        """RGB (B, 16, 16, 3) → (B, 3)."""
        values = (images[:, 0, 0].astype(np.float32) / 127.5 - 1) * 8
        return values if not self.faceless else np.full_like(values, np.nan)


def draw(seed: int, count: int) -> Array:
    """Codes (count, 7, 8); the levels take independent ones, within a level both codes are the same."""
    random = np.random.default_rng(seed)
    levels = random.standard_normal((count, 3, CODE_SIZE)).astype(np.float32)
    codes: Array = levels[:, [0, 1, 1, 1, 2, 2, 2]]
    return codes
