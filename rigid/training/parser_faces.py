"""Generated faces with the labels of every place, made once and kept by blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.atomic_files import replacing
from rigid.edits.library import AttributeLibrary, load_library
from rigid.face.landmark_net import LandmarkNet
from rigid.fields import to_pixels
from rigid.models.build import build_mapping, build_mobile_generator, mean_code
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.models.profiles import sizes_of
from rigid.training.codes import sample_codes
from rigid.training.fast_inference import compile_network
from rigid.training.parser_labels import LABEL_SIZE, PictureAndComponents, label, read_clusters, unpack

BATCH = 4
BLOCK = 64
DRAWN_EDITS = {
    "glasses": (0.25, 1.0, 2.0),
    "yaw": (0.25, 0.5, 1.5),
    "turned": (0.25, -1.5, -0.5),
    "pitch": (0.25, -1.2, 1.2),
    "mouth_open": (0.25, 0.4, 1.4),
    "skin_tone": (0.4, -1.6, 1.6),
    "smile": (0.2, -1.0, 1.2),
    "age": (0.2, -1.0, 1.3),
    "gender": (0.15, -1.0, 1.0),
    "beard": (0.15, 0.6, 1.5),
    "bangs": (0.15, 0.6, 1.5),
    "hair_blond": (0.08, 0.5, 1.3),
    "hair_grey": (0.08, 0.5, 1.3),
    "hair_dark": (0.08, 0.5, 1.3),
    "eyes_closed": (0.08, 0.5, 1.2),
    "light": (0.15, -1.0, 1.0),
}
"""The share of faces that are edited so, and the ends of the strength: what is rare is drawn more often."""
SAME = {"turned": "yaw"}
"""The attribute of an edit that is not named after it."""


@dataclass(frozen=True)
class LabelledFaces:
    """`images` (N, S, S, 3) RGB uint8 and `labels` (N, S, S) uint8, S being `LABEL_SIZE`."""

    images: Pixels
    labels: Pixels

    def __len__(self) -> int:
        return len(self.images)


Make = Callable[[int], LabelledFaces]
"""The block with this number."""


def load_or_make_blocks(folder: Path, numbers: Sequence[int], make: Make) -> LabelledFaces:
    """The blocks `numbers` of `folder`; each is made on the first call, so that an interruption costs one."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = [_load_or_make(folder / f"{number:06d}.npz", number, make) for number in numbers]
    return LabelledFaces(
        np.concatenate([block.images for block in blocks]), np.concatenate([block.labels for block in blocks])
    )


def _load_or_make(path: Path, number: int, make: Make) -> LabelledFaces:
    if not path.exists():
        block = make(number)
        with replacing(path) as part:
            np.savez_compressed(part, images=block.images, labels=block.labels)
    with np.load(path) as stored:
        return LabelledFaces(stored["images"], stored["labels"])


class FaceMaker:
    """Draws codes, makes their pictures and labels them."""

    def __init__(self, store: AssetStore, profile: str):
        sizes = sizes_of(profile)
        self.clusters = read_clusters()
        self.mapping, self.mean = build_mapping(store, profile), mean_code(profile)
        self.library = load_library(profile, custom=False)
        self.size, self.n_codes = sizes.image_size, sizes.n_codes
        network = PictureAndComponents(build_mobile_generator(profile, store), self.clusters)
        self.look = compile_network(network, torch.zeros(BATCH, sizes.n_codes, sizes.code_size))
        self.landmarks = LandmarkNet(store.file("face-landmarks", "face_landmarker.task"))

    def __call__(self, number: int) -> LabelledFaces:
        """Block `number`: at most `BLOCK` faces, as those whose landmarks are not found are left out."""
        images, labels = [], []
        for picture, components in self.draw_block(number):
            seen = self.landmarks.see_aligned(picture)
            if seen.steady:
                small = np.asarray(
                    cv2.resize(picture, (LABEL_SIZE, LABEL_SIZE), interpolation=cv2.INTER_AREA), np.uint8
                )
                likelihoods = self.clusters.likelihoods(components)
                images.append(small)
                labels.append(label(small, likelihoods, self.clusters.kinds, seen.landmarks))
        return LabelledFaces(np.stack(images), np.stack(labels))

    def draw_block(self, number: int) -> Iterator[tuple[Pixels, Array]]:
        """The pictures of block `number`, RGB (R, R, 3), each with its features' components (64, 64, K)."""
        codes = draw_codes(self.mapping, self.mean, self.library, self.n_codes, number)
        for batch in codes.split(BATCH):
            pictures, components = unpack(self.look(batch.contiguous()), self.size)
            for picture, of_picture in zip(to_pixels(pictures).transpose(0, 2, 3, 1), components, strict=True):
                yield np.ascontiguousarray(picture), np.ascontiguousarray(of_picture)


@torch.no_grad()
def draw_codes(mapping: MappingNetwork, mean: Tensor, library: AttributeLibrary, n_codes: int, number: int) -> Tensor:
    """The codes (BLOCK, n_codes, 512) of block `number`, some of them edited by `DRAWN_EDITS`."""
    codes = sample_codes(
        mapping, mean, BLOCK, n_codes, torch.Generator().manual_seed(number), truncation=(0.6, 1.0), mixing=0.5
    )
    random = np.random.default_rng(number)
    for name, (share, low, high) in DRAWN_EDITS.items():
        attribute = library[SAME.get(name, name)]
        for place in np.flatnonzero(random.random(BLOCK) < share):
            offset = attribute.offset(float(random.uniform(low, high)), codes[place : place + 1].numpy())
            codes[place] += torch.from_numpy(np.asarray(offset, np.float32).reshape(n_codes, -1))
    return codes
