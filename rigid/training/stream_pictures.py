"""Pictures as streams make them: real faces inverted and edited, as a generator has them before its end and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rigid.edits.library import AttributeLibrary, load_library
from rigid.models.build import build_image_encoder, build_recurrent_encoder
from rigid.models.mobile_stylegan import MobileStyleGAN
from rigid.models.profiles import sizes_of
from rigid.training.device import DEVICE, half_precision, pixels_last, place
from rigid.training.faces import read_aligned, read_stills
from rigid.training.pictures import from_bytes
from rigid.training.rollout import Networks, encode_episode, roll

SETTLING = 3
"""Frames until a stream's noise map has settled."""


@dataclass(frozen=True)
class Patches:
    """`features` (B, C, S, S) before the end, `codes` (B, n_codes, 512), and `pictures` (B, 3, 4S, 4S)."""

    features: Tensor
    codes: Tensor
    pictures: Tensor
    corners: list[tuple[int, int]]
    """Each one's top and left in the features."""


@dataclass(frozen=True)
class StreamPictures:
    """One for each picture: the features (1, C, H, W) in bfloat16, codes (1, n_codes, 512), the picture in float16."""

    features: list[Tensor]
    codes: list[Tensor]
    pictures: list[Tensor]

    def __len__(self) -> int:
        return len(self.codes)

    def whole(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features, codes and picture, float32, on the training device."""
        picture = self.pictures[number].to(DEVICE).float()
        return pixels_last(self.features[number].to(DEVICE).float()), self.codes[number].to(DEVICE), picture

    def patches(self, chosen: NDArray[np.int64], side: int, random: np.random.Generator) -> Patches:
        """A patch of each of the pictures `chosen`, `side` long in the features, anywhere."""
        features, pictures, corners = [], [], []
        for number in chosen:
            x = self.features[number]
            top, left = (int(random.integers(size - side + 1)) for size in x.shape[2:])
            features.append(x[..., top : top + side, left : left + side])
            rows, columns = (slice(4 * start, 4 * (start + side)) for start in (top, left))
            pictures.append(self.pictures[number][..., rows, columns])
            corners.append((top, left))
        codes = torch.cat([self.codes[number] for number in chosen])
        joined = pixels_last(torch.cat(features).to(DEVICE).float())
        return Patches(joined, codes.to(DEVICE), torch.cat(pictures).to(DEVICE).float(), corners)


class _Noting(nn.Module):
    """A generator that keeps what it was given with a noise map."""

    def __init__(self, generator: MobileStyleGAN):
        super().__init__()
        self.generator = generator
        self.given: list[tuple[Tensor, Tensor]] = []

    def forward(self, codes: Tensor, noise: Tensor | None = None) -> Tensor:
        if noise is not None:
            self.given += zip(codes.split(1), noise.split(1), strict=True)
        return self.generator(codes, noise)  # type: ignore[no-any-return]


@torch.no_grad()
def draw_pictures(
    generator: MobileStyleGAN,
    profile: str,
    data: Path,
    split: str,
    clip_frames: int,
    stills: int,
    seed: int,
    dyed: float = 0.0,
) -> StreamPictures:
    """Of each clip of `split` `clip_frames` frames, of `stills` stills one, inverted and edited at random.

    `dyed`: the share of them of which an edit of the hair is drawn rather than any.

    ValueError where `data` holds no faces of that split.
    """
    sizes, library, random = sizes_of(profile), load_library(profile, custom=False), np.random.default_rng(seed)
    noting = _Noting(generator)
    networks = Networks(
        place(build_image_encoder(profile)),
        place(build_recurrent_encoder(profile)),
        noting,
        sizes.n_shared_codes,
        sizes.hidden_shape,
        sizes.newest_noise_share,
    )
    kept: list[tuple[Tensor, Tensor]] = []
    for frames in _read_streams(data, split, clip_frames, stills):
        inputs = from_bytes(frames.transpose(0, 3, 1, 2))[None]
        codes = encode_episode(networks, inputs, draw_edit(library, sizes.edit_gain, dyed, random))
        noting.given.clear()
        for _ in roll(networks, inputs, codes, torch.zeros(1, dtype=torch.bool, device=DEVICE), truncation=1):
            pass
        kept += noting.given[2 * SETTLING :]
    if not kept:
        raise ValueError(f"{data} holds no faces of the split {split!r}; mark some so in its index.json.")
    return _make(generator, kept)


def _read_streams(data: Path, split: str, clip_frames: int, stills: int) -> list[NDArray[np.uint8]]:
    """Short streams of aligned faces, each (SETTLING + n, S, S, 3): of clips, and stills that stand still."""
    clips = [np.stack(faces[: SETTLING + clip_frames]) for _, faces in read_aligned(data, split)]
    return clips + [np.stack([face] * (SETTLING + 1)) for _, face in read_stills(data, split)[:stills]]


def draw_edit(library: AttributeLibrary, gain: float, dyed: float, random: np.random.Generator) -> Tensor:
    """One attribute at one end of its range or halfway there, as long as a stream makes it, (1, n_codes, 512).

    `dyed`: the chance that it is one of the hair's; else it is any.
    """
    offered = [one for one in library if one.region == "hair"] if random.random() < dyed else list(library)
    attribute = offered[int(random.integers(len(offered)))]
    strength = float(random.choice([attribute.max, attribute.max / 2, attribute.min or attribute.max]))
    offset = np.float32(gain * attribute.video_gain) * attribute.offset(strength)
    return torch.from_numpy(offset)[None].float().to(DEVICE)


def _make(generator: MobileStyleGAN, given: list[tuple[Tensor, Tensor]]) -> StreamPictures:
    made = StreamPictures([], [], [])
    for codes, noise in given:
        with half_precision():
            *_, features, last = generator.features(codes, noise)
            picture = generator.head(last, codes[:, -1])
        made.features.append(features.bfloat16().cpu())
        made.codes.append(codes.cpu())
        made.pictures.append(picture.half().cpu())
    return made
