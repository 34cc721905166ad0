"""Random codes and what is seen in the faces they make; pictures and sights are kept, as they are slow to get."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array, Pixels
from rigid.atomic_files import replacing
from rigid.discovery.labels import StagedLabeller
from rigid.discovery.observe import Seen
from rigid.fields import to_pixels
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.training.codes import sample_codes

RenderCodes = Callable[[Array], Array]
"""Codes (B, n_codes, 512) → RGB (B, 3, S, S) in [-1, 1]."""
DrawCodes = Callable[[int, int], Array]
"""(seed, count) → codes (count, n_codes, 512), the same for the same seed."""
BATCH = 8
"""A generator is asked for at most this many pictures at once."""
CHUNK_FACES = 64


@dataclass(frozen=True)
class Samples:
    """Codes (N, n_codes, 512) and their measures (N, M), both float32, without faces that were not found."""

    codes: Array
    measures: Array


@dataclass(frozen=True)
class Studio:
    """Makes faces from codes and says what is seen in them."""

    synthesize: RenderCodes
    labeller: StagedLabeller

    def photograph(self, codes: Array) -> Pixels:
        """Codes (B, n_codes, 512) → RGB bytes (B, S, S, 3)."""
        batches = [self.synthesize(codes[i : i + BATCH]) for i in range(0, len(codes), BATCH)]
        return np.ascontiguousarray(to_pixels(np.concatenate(batches)).transpose(0, 2, 3, 1))

    def measure(self, codes: Array) -> Array:
        """Codes (B, n_codes, 512) → measures (B, M)."""
        return self.labeller(self.photograph(codes))

    def column(self, measure: str) -> int:
        """Which column of the measures is `measure`."""
        return self.labeller.measures.index(measure)


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

    Pictures, what was seen in them and what was measured are kept in the folder `cache`; see `kept_faces`.
    """
    starts = range(0, count, CHUNK_FACES)
    seeds = [seed + start for start in starts]
    tables = {chunk: cache / f"measures-{fingerprint}-{studio.labeller.version}-{chunk:08d}.npy" for chunk in seeds}
    unmeasured = [chunk for chunk in seeds if not tables[chunk].exists()]
    yield max(0, count - CHUNK_FACES * len(unmeasured))
    faces = load_or_make_faces(studio, draw, unmeasured, cache, fingerprint)
    for done, (chunk, (images, seen)) in enumerate(zip(unmeasured, faces, strict=True), 1 - len(unmeasured)):
        with replacing(tables[chunk]) as part:
            np.save(part, studio.labeller.measure(images, seen))
        yield min(count, CHUNK_FACES * (len(seeds) + done))
    codes = np.concatenate([draw(chunk, CHUNK_FACES) for chunk in seeds])[:count]
    labels = np.concatenate([np.load(tables[chunk]) for chunk in seeds])[:count]
    found = np.isfinite(labels).all(1)
    yield Samples(codes[found], labels[found])


def load_or_make_faces(
    studio: Studio, draw: DrawCodes, seeds: Sequence[int], cache: Path, fingerprint: str
) -> Iterator[tuple[Pixels, Seen]]:
    """The `CHUNK_FACES` faces of each of the draws `seeds`, and what is seen in them.

    They are kept in `cache` under `fingerprint`, which names the generator and the draw, and taken from there the
    next time: a run that was stopped goes on where it was, and new measures are taken of the pictures that are there.
    """
    paths = {seed: cache / f"faces-{fingerprint}-{seed:08d}.npz" for seed in seeds}
    missing = iter([seed for seed, path in paths.items() if not path.exists()])
    # the next faces are drawn while these are looked at: the two keep different processors busy
    with ThreadPoolExecutor(1) as pool:
        drawn: dict[int, Future[Pixels]] = {}

        def draw_next() -> None:
            seed = next(missing, None)
            if seed is not None:
                drawn[seed] = pool.submit(_photograph, studio, draw, seed)

        draw_next()
        for seed, path in paths.items():
            if seed in drawn:
                images = drawn.pop(seed).result()
                draw_next()
                _keep(path, images, studio.labeller.observe(images))
            yield _load(path)


def short_hash(value: object) -> str:
    """Eight characters that name `value` by its text."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:8]


def _photograph(studio: Studio, draw: DrawCodes, seed: int) -> Pixels:
    return studio.photograph(draw(seed, CHUNK_FACES))


def _load(path: Path) -> tuple[Pixels, Seen]:
    with np.load(path, allow_pickle=False) as stored:
        seen = {name: stored[name] for name in stored.files}
    ends, joined = seen.pop("picture_ends"), seen.pop("pictures")
    pictures = [decode(picture) for picture in np.split(joined, ends[:-1])]
    return np.stack(pictures), seen


def decode(stored: Pixels) -> Pixels:
    """A picture file's bytes → RGB (H, W, 3); ValueError when they are no picture."""
    picture = cv2.imdecode(stored, cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("A picture that was kept cannot be read; remove the folder of kept faces.")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _keep(path: Path, images: Pixels, seen: Seen) -> None:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    pictures = [cv2.imencode(".jpg", image[..., ::-1], quality)[1] for image in images]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        ends = np.cumsum([len(picture) for picture in pictures])
        np.savez(part, allow_pickle=False, pictures=np.concatenate(pictures), picture_ends=ends, **seen)
