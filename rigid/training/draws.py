"""What generated faces are drawn: more of what an encoder fails at than the generator's own samples hold."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array, Pixels
from rigid.edits.library import AttributeLibrary
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.training.codes import sample_codes

HARD = {
    "yaw": (-1.5, 1.5),
    "pitch": (-1.0, 1.0),
    "mouth_open": (0.4, 1.5),
    "glasses": (0.7, 1.5),
    "skin_tone": (0.3, 1.4),
    "light": (-1.2, -0.3),
    "smile": (-0.8, 1.0),
    "eyes_closed": (0.4, 1.0),
}
"""For each attribute that is hard to invert, the strengths it is drawn at."""
HARD_SHARE = 0.3
"""How likely a face gets each of them."""
TONES = (10.0, 28.0, 41.0)
"""Individual typology angle, in degrees, between dark, tan, intermediate and light skin (Chardon et al., 1991)."""
SKIN_PLACES = ((0.30, 0.62), (0.70, 0.62), (0.50, 0.30))
"""Where cheeks and forehead lie in an aligned face, in sides of the picture."""


@dataclass(frozen=True)
class FaceDraws:
    """Draws codes of generated faces."""

    mapping: MappingNetwork
    mean: Tensor
    """(512,)."""
    library: AttributeLibrary
    n_codes: int

    def __call__(self, count: int, seed: int) -> Tensor:
        """Codes (count, n_codes, 512): the generator's own, pushed along the attributes of `HARD` in part."""
        codes = sample_codes(self.mapping, self.mean, count, self.n_codes, torch.Generator().manual_seed(seed))
        random = np.random.default_rng(seed)
        return codes + torch.from_numpy(np.stack([draw_push(self.library, random) for _ in range(count)]))


def draw_push(library: AttributeLibrary, random: np.random.Generator) -> Array:
    """What some of `HARD` add to a face's codes (n_codes, 512)."""
    offset = np.zeros(library.shape, np.float32)
    for name, (low, high) in HARD.items():
        if name in library and random.random() < HARD_SHARE:
            offset += library[name].offset(random.uniform(low, high))
    return offset


def tone_group(picture: Pixels) -> int:
    """The skin's tone in an aligned face (S, S, 3) RGB: 0 for dark to 3 for light, by the angle between L* and b*.

    The median over cheeks and forehead, wherever they lie as a rule: an estimate that is right for most faces, which
    is enough to draw all tones about as often.
    """
    side = len(picture)
    half = side // 20
    corners = [(int(x * side) - half, int(y * side) - half) for x, y in SKIN_PLACES]
    patches = [picture[y : y + 2 * half, x : x + 2 * half] for x, y in corners]
    lab = cv2.cvtColor(np.concatenate(patches).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness, _, yellowness = np.median(lab.reshape(-1, 3), 0)
    angle = np.degrees(np.arctan2(lightness - 50, max(float(yellowness), 1e-3)))
    return int(np.searchsorted(TONES, angle))
