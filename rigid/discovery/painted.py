"""An edit of the colours of a face, or of its hair, that comes as close as it can to paint: found by descent.

A slope fitted to labelled samples brings with a colour what goes with it among faces: rosy cheeks came with light eyes
and grey patches, so that they could not be made strong enough to be seen. Here faces are painted: with x = G(w),
y = G(w + d), p the paint's shift in CIE Lab of x, and m how thick it lies, 0 to 1, the edit d, the same for all faces,
minimises

    mean of (FACE · inside + PAINTED · m) · (y - p)²  +  what y changes where m is not, and what is finer than paint.

The squares are of averages over `GRAIN` pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rigid.arrays import Array, Pixels
from rigid.discovery.calibrate import Faces
from rigid.discovery.descent import Descent
from rigid.discovery.regions import CHEEKS, bytes_of, lab_of
from rigid.discovery.sitters import Sitters, as_tensor
from rigid.face.landmarks import CHEEKBONES
from rigid.fields import resize
from rigid.models.contract import CLASSES
from rigid.reporting import Say, say_nothing

FACE, PAINTED, BESIDE, DETAIL = 400.0, 1600.0, 1.0, 2.0
"""Weights: of the whole face, of what is painted, of what changes where nothing is, and of what is finer than paint."""
GRAIN = 8
"""Pixels averaged before colours are compared."""
APPLE = (0.13, 0.1)
"""Standard deviations of the paint on a cheek, across and down, in widths of the face."""
BARE = ("skin", "brows", "nose", "ears", "neck")
"""The parts of a face that have the skin's colour."""

Where = Callable[[Array, Array, int], Array]
"""A face's landmarks (478, 2), its parser's map (C, n, n) and its picture's side → how thick paint lies, (S, S)."""


@dataclass(frozen=True)
class Paint:
    """A shift of the colour, (3,) in CIE Lab."""

    shift: tuple[float, float, float]
    where: Where

    def on(self, pictures: Pixels, masks: Array) -> Pixels:
        """RGB bytes (N, S, S, 3), painted where `masks` (N, S, S) are."""
        shift = np.array(self.shift, np.float32)
        painted = [bytes_of(lab_of(one) + mask[..., None] * shift) for one, mask in zip(pictures, masks, strict=True)]
        return np.stack(painted)


def mask_cheeks(landmarks: Array, parts: Array, size: int) -> Array:
    """The apples of both cheeks, soft."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    width = float(np.linalg.norm(np.subtract(*landmarks[list(CHEEKBONES)])))
    apples = []
    for cheek in CHEEKS:
        x, y = landmarks[list(cheek)].mean(0)
        far = np.square((columns - x) / (APPLE[0] * width)) + np.square((rows - y) / (APPLE[1] * width))
        apples.append(np.exp(-far / 2))
    both: Array = np.maximum(*apples)
    return both


def mask_skin(landmarks: Array, parts: Array, size: int) -> Array:
    """Bare skin, that of ears and neck as well."""
    return resize(parts[[CLASSES.index(name) for name in BARE]].sum(0, dtype=np.float32), size)


def mask_hair(landmarks: Array, parts: Array, size: int) -> Array:
    """The hair of the head."""
    return resize(parts[CLASSES.index("hair")], size)


PAINTS = {
    "hair_dark": Paint((-28.0, -2.0, -6.0), mask_hair),
    "skin_tone": Paint((-18.0, 5.0, 6.0), mask_skin),
    "rosy_cheeks": Paint((-4.0, 28.0, 0.0), mask_cheeks),
}
"""What attributes are painted with."""


def find_painted(descent: Descent, faces: Faces, parts: Array, paint: Paint, report: Say = say_nothing) -> Array:
    """The edit (n_codes, 512) that comes closest to `paint` on `faces`, whose maps are `parts` (N, C, n, n)."""
    size, sitters = faces.images.shape[1], Sitters(faces)
    places = zip(faces.seen["landmarks"], parts, strict=True)
    masks = np.stack([paint.where(*place, size) for place in places]).astype(np.float32)
    wanted, painted = as_tensor(paint.on(faces.images, masks)), torch.from_numpy(masks)[:, None]

    def judge(made: Tensor, chosen: list[int], _: np.random.Generator) -> tuple[Tensor, str]:
        thick, inside, change = painted[chosen], sitters.inside[chosen], made - sitters.pictures[chosen]
        weight = F.avg_pool2d(FACE * inside + PAINTED * thick, GRAIN)
        missed = (weight * F.avg_pool2d(made - wanted[chosen], GRAIN).square()).mean()
        smooth = F.interpolate(F.avg_pool2d(change, GRAIN), scale_factor=GRAIN, mode="bilinear")
        beside = BESIDE * (change.abs() * (1 - thick)).mean() + DETAIL * ((change - smooth) * inside).abs().mean()
        return missed + beside, f"missed {missed.item():.3f}, beside it {beside.item():.3f}"

    return descent.run(sitters.codes, judge, report)
