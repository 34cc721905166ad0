"""Labels of generated faces: what the generator's own features say of each place, and the face's landmarks.

The features of the levels 16² to 128² fall into clusters, each of which covers one part of a head, or of what is
around it, in every face (as in DatasetGAN, Zhang et al., 2021, and Repurposing GANs, Tritrong et al., 2021). What each
is was seen by looking at it, and stands in `parser_clusters.json`; `parser_clusters.npz` holds their arrays.
Lines that the features draw coarsely are taken from the landmarks: brows, eyes, nose, lips, and where the face ends.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.arrays import Array, Labels, Pixels, Region
from rigid.face.landmarks import CHIN, FACE_OVAL, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from rigid.models.contract import CLASSES
from rigid.models.mobile_stylegan import MobileStyleGAN

LABEL_SIZE = 128
"""The side of labels and of the pictures they belong to."""
MAP_SIDE = 64
"""Where the features of all levels meet."""
FEATURE_LEVELS = (1, 2, 3, 4)
"""The levels whose features are looked at: 16², 32², 64² and 128²."""
DOUBT = 6.0
"""The squared distance more at which a cluster is e times less likely."""
NEARBY = 5.0
"""Places round (standard deviation) from which the colour comes that a part has."""
NEAR_COLOUR = 12.0
"""Colours (L*a*b*, in bytes) that differ so much are e^½ times less likely of one part."""
SEE_THROUGH = 14.0**2
"""Squared difference from the skin's colour up to which a place within glasses is the skin seen through them."""
CLUSTERS = Path(__file__).with_name("parser_clusters.npz")
NAMES = CLUSTERS.with_suffix(".json")
UNKNOWN = 255
"""The label of a place of which nothing is known."""
BACKGROUND, SKIN, BROWS, EYES, NOSE, LIPS, MOUTH, HAIR, _, NECK, CLOTH, HAT, GLASSES, OTHER = range(len(CLASSES))
GARMENT = len(CLASSES)
"""Cloth or a hat, which their place tells apart."""
INNER = (SKIN, BROWS, EYES, NOSE, LIPS, MOUTH)
# fmt: off
LEFT_BROW = np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46])
RIGHT_BROW = np.array([300, 293, 334, 296, 336, 285, 295, 282, 283, 276])
NOSE_OUTLINE = np.array([
    168, 193, 122, 196, 174, 198, 209, 49, 64, 98, 97, 2, 326, 327, 294, 279, 429, 420, 399, 419, 351, 417,
])
INNER_MOUTH = np.array([
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
])
# fmt: on


@dataclass(frozen=True)
class Clusters:
    """The clusters of the features of all `FEATURE_LEVELS`, C channels, their K principal components, N centres."""

    mean: Array
    """(C,)"""
    basis: Array
    """(C, K), each level's channels by its weight and all over the features' spread."""
    centres: Array
    """(N, K)"""
    parts: tuple[str, ...]
    """What each is: a class, several joined by `|` for one that covers a border, `garment`, or `unknown`."""

    @property
    def kinds(self) -> list[str]:
        """The different `parts`."""
        return list(dict.fromkeys(self.parts))

    def likelihoods(self, components: Array) -> Array:
        """`components` (H, W, K) of features → how likely each of `kinds` is there, (H, W, len(kinds))."""
        flat = torch.from_numpy(components.reshape(-1, components.shape[-1]))
        distances = torch.cdist(flat, torch.from_numpy(self.centres)).square()
        shares = (-distances / DOUBT).softmax(1)
        places = torch.tensor([self.kinds.index(part) for part in self.parts])
        total = torch.zeros(len(flat), len(self.kinds)).index_add_(1, places, shares)
        return np.asarray(total.numpy().reshape(*components.shape[:2], -1), np.float32)


@cache
def read_clusters() -> Clusters:
    """The clusters of `mobile-256`'s generator."""
    named: dict[str, list[int]] = json.loads(NAMES.read_text())
    parts = {number: part for part, numbers in named.items() for number in numbers}
    with np.load(CLUSTERS) as stored:
        arrays = {name: stored[name].astype(np.float32) for name in ("mean", "basis", "centres")}
    assert sorted(parts) == list(range(len(arrays["centres"]))), "every cluster has one name"
    return Clusters(**arrays, parts=tuple(parts[number] for number in range(len(parts))))


class PictureAndComponents(nn.Module):
    """Codes (B, n_codes, 512) → (B, 3·R·R + K·64·64): the generator's picture, and what its features come to."""

    offset: Tensor

    def __init__(self, generator: MobileStyleGAN, clusters: Clusters):
        super().__init__()
        self.generator = generator
        widths = [generator.level(level).conv2.pointwise.out_channels for level in FEATURE_LEVELS]
        basis = torch.from_numpy(clusters.basis)
        self.projections = nn.ModuleList(_projection(part) for part in basis.split(widths))
        self.register_buffer("offset", -(torch.from_numpy(clusters.mean) @ basis)[None, :, None, None])

    def forward(self, codes: Tensor) -> Tensor:
        levels = list(self.generator.features(codes))
        picture = self.generator.head(levels[-1], codes[:, self.generator.n_codes - 1])
        components = self.offset
        for level, projection in zip(FEATURE_LEVELS, self.projections, strict=True):
            components = components + _on_grid(projection(_of_unit_power(levels[level])))
        return torch.cat((picture.flatten(1), components.flatten(1)), 1)


def _projection(basis: Tensor) -> nn.Conv2d:
    """A convolution that takes features to their components by `basis` (C, K)."""
    channels, components = basis.shape
    projection = nn.Conv2d(channels, components, 1, bias=False).requires_grad_(False)
    projection.weight.copy_(basis.T[:, :, None, None])
    return projection


def unpack(output: Array, size: int) -> tuple[Array, Array]:
    """What `PictureAndComponents` gives: pictures (B, 3, size, size), components (B, 64, 64, K)."""
    pixels = 3 * size * size
    components = output[:, pixels:].reshape(len(output), -1, MAP_SIDE, MAP_SIDE).transpose(0, 2, 3, 1)
    return output[:, :pixels].reshape(-1, 3, size, size), components


def _of_unit_power(features: Tensor) -> Tensor:
    return features * torch.rsqrt(features.square().mean(1, keepdim=True) + 1e-8)


def _on_grid(x: Tensor) -> Tensor:
    side = x.shape[-1]
    if side > MAP_SIDE:
        return F.avg_pool2d(x, side // MAP_SIDE)
    return F.interpolate(x, size=(MAP_SIDE, MAP_SIDE), mode="bilinear", align_corners=False) if side < MAP_SIDE else x


def label(picture: Pixels, likelihoods: Array, kinds: Sequence[str], landmarks: Array) -> Labels:
    """The class of each place (S, S) of a `picture` (S, S, 3) RGB, or `UNKNOWN`; S is `LABEL_SIZE`.

    `likelihoods` (64, 64, len(kinds)) of what clusters are; `landmarks` (478, 2) in sides of the picture.
    """
    chosen = _refine(likelihoods, picture).argmax(2)
    labels = _decide(picture, chosen, kinds)
    points = landmarks * LABEL_SIZE
    _split_garments(labels, points)
    _split_skin(labels, points)
    draw_features(labels, points)
    return labels


def _decide(picture: Pixels, chosen: NDArray[np.int64], kinds: Sequence[str]) -> Labels:
    """The labels where what clusters cover is one thing, and those that its colour says where it may be several."""
    numbers = {name: number for number, name in enumerate(CLASSES)} | {"garment": GARMENT, "unknown": UNKNOWN}
    several = {kind: kind.split("|") for kind in kinds if "|" in kind}
    labels = np.array([numbers.get(kind, UNKNOWN) for kind in kinds], np.uint8)[chosen]
    colours = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    names = sorted({name for candidates in several.values() for name in candidates} | {"skin"})
    unlike = {name: _unlikeness(colours, labels == numbers[name]) for name in names}
    see_through = unlike["skin"][0] < SEE_THROUGH
    labels[(labels == GLASSES) & see_through] = SKIN
    for kind, candidates in several.items():
        here = chosen == kinds.index(kind)
        scores = np.stack([unlike[name][0][here] / 2 / NEAR_COLOUR**2 + unlike[name][1][here] for name in candidates])
        labels[here] = np.array([numbers[name] for name in candidates], np.uint8)[scores.argmin(0)]
    return labels


def _unlikeness(colours: Array, mask: Region) -> tuple[Array, Array]:
    """How far each place's colour (squared) and place (minus log) is from where `mask` is; (H, W) each."""
    weight = mask.astype(np.float32)
    share = cv2.GaussianBlur(weight, (0, 0), NEARBY)
    mean = cv2.GaussianBlur(colours * weight[..., None], (0, 0), NEARBY) / np.maximum(share, 1e-6)[..., None]
    distance = np.square(colours - mean).sum(2)
    return np.where(share > 1e-4, distance, np.float32(1e6)), -np.log(share + 1e-3)


def _refine(likelihoods: Array, picture: Pixels) -> Array:
    """`likelihoods` at the picture's size, their edges drawn to the picture's (guided filter, He et al., 2010)."""
    larger = np.asarray(cv2.resize(likelihoods, (LABEL_SIZE, LABEL_SIZE), interpolation=cv2.INTER_LINEAR), np.float32)
    guide = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) / np.float32(255), np.float32)
    return filter_guided(guide, larger, 4, 4e-3)


def filter_guided(guide: Array, values: Array, radius: int, smoothness: float) -> Array:
    """`values` (H, W, C) as locally linear functions of the `guide` (H, W)."""
    side = 2 * radius + 1

    def mean(x: Array) -> Array:
        return np.asarray(cv2.blur(x, (side, side)), np.float32)

    g = guide[..., None]
    mean_g, mean_v = mean(guide)[..., None], mean(values)
    slope = (mean(g * values) - mean_g * mean_v) / (mean(guide * guide)[..., None] - mean_g**2 + smoothness)
    fitted: Array = mean(slope) * g + mean(mean_v - slope * mean_g)
    return fitted


def _split_garments(labels: Labels, points: Array) -> None:
    """A garment that reaches above the eyes, over the face, is a hat; one beside it is unknown; the others are cloth.

    A hat and a collar may hang together: below the middle between eyes and chin such a piece is cloth.
    """
    eyes = points[np.concatenate((LEFT_EYE, RIGHT_EYE)), 1].mean()
    left, right = np.percentile(points[FACE_OVAL, 0], (15, 85))
    middle = (eyes + points[CHIN, 1]) / 2
    count, pieces, boxes, _ = cv2.connectedComponentsWithStats((labels == GARMENT).astype(np.uint8))
    for piece in range(1, count):
        x, y, width, height, _ = boxes[piece]
        here = pieces == piece
        labels[here] = CLOTH
        if y < eyes:
            above = here & (np.arange(LABEL_SIZE)[:, None] < (LABEL_SIZE if y + height < points[CHIN, 1] else middle))
            labels[above] = HAT if x < right and x + width > left else UNKNOWN


def _split_skin(labels: Labels, points: Array) -> None:
    """Skin below the jaw is neck, and neck inside the face's oval skin."""
    oval = np.zeros((LABEL_SIZE, LABEL_SIZE), np.uint8)
    cv2.fillPoly(oval, [np.rint(16 * points[FACE_OVAL]).astype(np.int32)], 1, cv2.LINE_8, 4)
    inside = oval > 0
    below = np.arange(LABEL_SIZE)[:, None] > (points[CHIN, 1] + points[FACE_OVAL[[8, 28]], 1].mean()) / 2
    labels[inside & (labels == NECK)] = SKIN
    labels[~inside & below & np.isin(labels, INNER)] = NECK


def draw_features(labels: Labels, points: Array) -> None:
    """Brows, eyes, nose and mouth where the landmarks say, unless something is before them."""
    free = np.isin(labels, INNER)
    labels[free] = SKIN
    for outline, part in (
        (LEFT_BROW, BROWS), (RIGHT_BROW, BROWS), (NOSE_OUTLINE, NOSE), (LEFT_EYE, EYES), (RIGHT_EYE, EYES),
        (OUTER_LIPS, LIPS), (INNER_MOUTH, MOUTH),
    ):  # fmt: skip
        drawn = np.zeros((LABEL_SIZE, LABEL_SIZE), np.uint8)
        cv2.fillPoly(drawn, [np.rint(16 * points[outline]).astype(np.int32)], 1, cv2.LINE_8, 4)
        labels[(drawn > 0) & free] = part
