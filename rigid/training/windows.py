"""Looking at a part of the picture: perceptual nets cost more than what is trained."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def same_window(image: Tensor, target: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cut the same random quarter of both (B, C, S, S)."""
    side = image.shape[-1] // 2
    y, x = random.integers(0, side + 1, 2)
    return image[..., y : y + side, x : x + side], target[..., y : y + side, x : x + side]
