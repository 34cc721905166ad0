"""What the generator is to learn: codes, and the 1024² teacher's pictures of them at the student's size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.atomic_files import replacing
from rigid.fields import to_pixels
from rigid.models.build import build_mapping, build_teacher
from rigid.models.mobile_stylegan import MobileStyleGAN
from rigid.models.profiles import sizes_of
from rigid.training.codes import mean_of, sample_codes
from rigid.training.device import DEVICE
from rigid.training.fast_inference import compile_network
from rigid.training.pictures import from_bytes

BATCH = 4
"""Pictures rendered at once."""


@dataclass(frozen=True)
class TeacherPairs:
    """Codes (N, n_codes, 512) float32 and the teacher's pictures of them (N, 3, S, S) uint8 RGB."""

    codes: Tensor
    images: Pixels

    def batch(self, chosen: slice | NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Some codes and their pictures (B, 3, S, S) in [-1, 1], on the training device."""
        return self.codes[chosen].to(DEVICE), from_bytes(self.images[chosen])


class TeacherAtStudentSize(nn.Module):
    """The 1024² teacher behind the student's codes, area-downsampled to the student's size.

    The student's last code stands for all the teacher's codes from there on.
    """

    def __init__(self, teacher: MobileStyleGAN, size: int):
        super().__init__()
        self.teacher = teacher
        self.size = size

    def forward(self, codes: Tensor) -> Tensor:
        extra = self.teacher.n_codes - codes.shape[1]
        image = self.teacher(torch.cat((codes, codes[:, -1:].expand(-1, extra, -1)), 1))
        return F.avg_pool2d(image, image.shape[-1] // self.size)


def load_or_make_pairs(path: Path, profile: str, store: AssetStore, *, count: int, seed: int) -> TeacherPairs:
    """`count` pairs drawn with `seed`; made once and kept at `path`, as a picture takes a quarter of a second."""
    if path.exists():
        with np.load(path) as pairs:
            if len(pairs["images"]) == count:
                return TeacherPairs(torch.from_numpy(pairs["codes"]), pairs["images"])
    pairs = _make_pairs(profile, store, count, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("wb") as stream:
        np.savez(stream, codes=pairs.codes.numpy(), images=pairs.images)
    return pairs


def _make_pairs(profile: str, store: AssetStore, count: int, seed: int) -> TeacherPairs:
    sizes = sizes_of(profile)
    mapping = build_mapping(store)
    mean = mean_of(mapping, 100_000, torch.Generator().manual_seed(0))
    codes = sample_codes(mapping, mean, count, sizes.n_codes, torch.Generator().manual_seed(seed))
    network = TeacherAtStudentSize(build_teacher(store), sizes.image_size)
    whole = torch.cat((codes, codes[-1:].expand(-count % BATCH, -1, -1)))
    teacher = compile_network(network, whole[:BATCH])
    images = np.concatenate([to_pixels(teacher(piece)) for piece in whole.split(BATCH)])
    return TeacherPairs(codes, images[:count])
