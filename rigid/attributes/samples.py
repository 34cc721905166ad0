"""Random codes and what is seen in the faces they make; pictures and sights are kept, as they are slow to get."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rigid.attributes.labels import Bytes, Labeller
from rigid.attributes.observe import Seen
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.replacing import replacing
from rigid.training.codes import sample_codes

Array = NDArray[np.float32]
Synthesize = Callable[[Array], Array]
"""Codes (B, n_codes, 512) → RGB (B, 3, S, S) in [-1, 1]."""
DrawCodes = Callable[[int, int], Array]
"""(seed, count) → codes (count, n_codes, 512), the same for the same seed."""
BATCH = 8
"""A generator is asked for at most this many pictures at once."""
CHUNK = 64


@dataclass(frozen=True)
class Samples:
    """Codes (N, n_codes, 512) and their measures (N, M), both float32, without faces that were not found."""

    codes: Array
    measures: Array


@dataclass(frozen=True)
class Studio:
    """Makes faces from codes and says what is seen in them."""

    synthesize: Synthesize
    labeller: Labeller

    def photograph(self, codes: Array) -> Bytes:
        """Codes (B, n_codes, 512) → RGB bytes (B, S, S, 3)."""
        batches = [self.synthesize(codes[i : i + BATCH]) for i in range(0, len(codes), BATCH)]
        return to_bytes(np.concatenate(batches))

    def measure(self, codes: Array) -> Array:
        """Codes (B, n_codes, 512) → measures (B, M)."""
        return self.labeller(self.photograph(codes))

    def column(self, measure: str) -> int:
        """Which column of the measures is `measure`."""
        return self.labeller.measures.index(measure)


def to_bytes(images: Array) -> Bytes:
    """RGB (B, 3, S, S) in [-1, 1] → bytes (B, S, S, 3)."""
    scaled = np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(scaled.transpose(0, 2, 3, 1))


def code_source(
    mapping: MappingNetwork, mean: Tensor, n_codes: int, truncation: tuple[float, float], mixing: float
) -> DrawCodes:
    """Draws codes through the mapping network; `truncation` and `mixing` as `sample_codes` takes them."""

    def draw(seed: int, count: int) -> Array:
        random = torch.Generator().manual_seed(seed)
        codes = sample_codes(mapping, mean, count, n_codes, random, truncation=truncation, mixing=mixing)
        drawn: Array = codes.numpy().astype(np.float32)
        return drawn

    return draw


def take_samples(
    studio: Studio, draw: DrawCodes, count: int, seed: int, cache: Path, fingerprint: str
) -> Iterator[Samples | int]:
    """Label `count` faces: yields how many are done after every chunk, at the end the samples.

    Pictures and what was seen in them are kept in the folder `cache` under `fingerprint`, which names the generator
    and the draw they depend on, and taken from there the next time: a run that was stopped goes on where it was,
    and new measures are taken of pictures that are there.
    """
    measures: list[Array] = []
    starts = range(0, count, CHUNK)
    for start in starts:
        path = cache / f"faces-{fingerprint}-{seed}-{start:06d}.npz"
        images, seen = observed_chunk(studio, draw, seed + start, path)
        measures.append(studio.labeller.measure(images, seen))
        yield min(count, start + CHUNK)
    codes = np.concatenate([draw(seed + start, CHUNK) for start in starts])[:count]
    labels = np.concatenate(measures)[:count]
    found = np.isfinite(labels).all(1)
    yield Samples(codes[found], labels[found])


def short_hash(value: object) -> str:
    """Eight characters that name `value` by its text."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:8]


def observed_chunk(studio: Studio, draw: DrawCodes, seed: int, path: Path) -> tuple[Bytes, Seen]:
    """The faces of `draw(seed, CHUNK)` and what is seen in them, from `path` where they are kept, else put there."""
    if not path.exists():
        images = studio.photograph(draw(seed, CHUNK))
        _keep(path, images, studio.labeller.observe(images))
    # read back even when just made, so that a picture's losses do not depend on who made it
    with np.load(path, allow_pickle=False) as stored:
        kept = {name: stored[name] for name in stored.files}
    ends, joined = kept.pop("picture_ends"), kept.pop("pictures")
    pictures = np.split(joined, ends[:-1])
    return np.stack([cv2.imdecode(picture, cv2.IMREAD_COLOR)[..., ::-1] for picture in pictures]), kept


def _keep(path: Path, images: Bytes, seen: Seen) -> None:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    pictures = [cv2.imencode(".jpg", image[..., ::-1], quality)[1] for image in images]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        ends = np.cumsum([len(picture) for picture in pictures])
        np.savez(part, allow_pickle=False, pictures=np.concatenate(pictures), picture_ends=ends, **seen)
