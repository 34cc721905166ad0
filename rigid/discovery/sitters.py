"""The faces that an edit is found on by descent, and where it is looked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.discovery.calibrate import Faces
from rigid.discovery.descent import Descent
from rigid.discovery.observe import face_square
from rigid.discovery.real import codes_of_clips
from rigid.discovery.samples import DrawCodes, Studio
from rigid.discovery.unsupervised import single_codes
from rigid.face.masks import feather, lips_mask, oval_mask
from rigid.models.build import build_mapping, build_mobile_generator

LIPS_GROWN = 0.3
SITTERS_SEED = 5_000_000
SPREAD_CODES = 4_096


@dataclass(frozen=True)
class Sought:
    """Which attribute is to be edited anew, and on whom."""

    path: Path
    """The attribute's file."""
    profile: str
    clips: Path | None = None
    """A folder of aligned clips, whose faces are taken beside the generated ones."""
    split: str | None = None
    steps: int | None = None
    """As many as are known to do, unless given."""

    def draw_faces(self, studio: Studio, draw: DrawCodes, count: int) -> Faces:
        """`count` generated faces from `draw`, and those of the clips."""
        drawn = draw(SITTERS_SEED, count)
        real = [] if self.clips is None else [codes_of_clips(self.profile, self.clips, self.split)]
        return Faces.make_found(studio, np.concatenate([drawn, *real]))

    def descend(
        self, store: AssetStore, levels: tuple[int, ...], steps: int, rate: float, noise: Tensor | None = None
    ) -> Descent:
        """A descent through the profile's generator, which is given the `noise` maps (N, *noise_shape) of the faces."""
        spread = np.cov(single_codes(build_mapping(store), SPREAD_CODES, 0).detach().numpy().T)
        generator = build_mobile_generator(self.profile, store).requires_grad_(False)

        def draw(codes: Tensor, chosen: list[int]) -> Tensor:
            pictures: Tensor = generator(codes) if noise is None else generator(codes, noise[chosen])
            return pictures

        return Descent(draw, levels, spread, self.steps or steps, rate)


@dataclass(frozen=True)
class Sitters:
    """Faces to find an edit on."""

    faces: Faces

    @cached_property
    def codes(self) -> Tensor:
        """(N, n_codes, 512)."""
        return torch.from_numpy(self.faces.codes)

    @cached_property
    def pictures(self) -> Tensor:
        """x, (N, 3, S, S) in [-1, 1]."""
        return as_tensor(self.faces.images)

    @cached_property
    def squares(self) -> Array:
        """Column, row and side of the square that the critics see of each, (N, 3) pixels."""
        return np.array([(*centre, side) for centre, side in map(face_square, self._landmarks)], np.float32)

    @cached_property
    def inside(self) -> Tensor:
        """M, (N, 1, S, S)."""
        return self._masks(lambda landmarks, size: feather(oval_mask(landmarks, size)))

    @cached_property
    def mouths(self) -> Tensor:
        """(N, 1, S, S)."""
        return self._masks(lambda landmarks, size: lips_mask(landmarks, size, LIPS_GROWN))

    @property
    def _landmarks(self) -> Array:
        return self.faces.seen["landmarks"]

    def _masks(self, draw: Callable[[Array, int], Array]) -> Tensor:
        size = self.faces.images.shape[1]
        return torch.from_numpy(np.stack([draw(landmarks, size) for landmarks in self._landmarks]))[:, None]


def as_tensor(pictures: Pixels) -> Tensor:
    """RGB bytes (N, S, S, 3) → (N, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
