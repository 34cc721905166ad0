"""Looks that no formula names, such as a beard: learned from a few hundred generated faces labelled by hand.

A face is put upright and described by the colours and the edges of a grid of cells and by its proportions; every
look has one linear classifier on that. `hand_labels.csv` holds the labels, `looks.npz` what was learned.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array, Pixels
from rigid.atomic_files import replacing
from rigid.discovery import shapes
from rigid.discovery.regions import lab_of
from rigid.face.landmarks import LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE
from rigid.geometry import resample, similarity

HAND_LABELS = Path(__file__).with_name("hand_labels.csv")
LEARNED = Path(__file__).with_name("looks.npz")
LOOKS = ("glasses", "beard", "mustache", "bangs", "bald", "blond", "grey", "dark", "makeup", "chubby", "double_chin")
CELLS = 14
CELL = 8
"""Pixels of a cell's side."""
DESCRIBED_SIDE = 3.4
"""Side of the described square, in distances from the eyes to the mouth: all of the head."""
PROPORTIONS = (shapes.face_width, shapes.jaw_width, shapes.nose_size, shapes.lip_size, shapes.eye_size)
FOLDS = 5
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Weight decays tried, as shares of the mean squared description."""


def describe(image: Pixels, landmarks: Array) -> Array:
    """RGB bytes (S, S, 3) with landmarks (478, 2) → a description (14 · 14 · 5 + 5,)."""
    left, right, mouth = (landmarks[part].mean(0) for part in (LEFT_EYE, RIGHT_EYE, MOUTH_CORNERS))
    eyes, size = (left + right) / 2, CELLS * CELL
    angle = float(np.arctan2(right[1] - left[1], right[0] - left[0]))
    side = DESCRIBED_SIDE * max(float(np.linalg.norm(mouth - eyes)), 1.0)
    upright = resample(image, similarity(0.7 * eyes + 0.3 * mouth, side, angle, (size, size)), (size, size))
    lab = lab_of(upright)
    across, down = cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0), cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1)
    layers = np.dstack((lab, np.sqrt(np.abs(across)), np.sqrt(np.abs(down))))
    cells = cv2.resize(layers, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return np.append(cells.ravel(), [measure(landmarks) for measure in PROPORTIONS]).astype(np.float32)


@dataclass(frozen=True)
class LookClassifier:
    """Linear classifiers: `weights` (L, F) on descriptions less `mean` (F,) over `spread` (F,), `bias` (L,)."""

    names: tuple[str, ...]
    mean: Array
    spread: Array
    weights: Array
    bias: Array

    def logits(self, descriptions: Array) -> Array:
        """Descriptions (B, F) → how sure each look is there, (B, L) in log odds."""
        scaled = (descriptions - self.mean) / self.spread
        return np.asarray(scaled @ self.weights.T + self.bias, np.float32)


def no_looks() -> LookClassifier:
    """Knows no looks."""
    size = CELLS * CELLS * 5 + len(PROPORTIONS)
    nothing = np.zeros((0, size), np.float32)
    return LookClassifier((), np.zeros(size, np.float32), np.ones(size, np.float32), nothing, nothing[:, 0])


def read_looks(path: Path = LEARNED) -> LookClassifier:
    """What `learn_looks` learned and `write_looks` kept."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name].astype(np.float32) for name in ("mean", "spread", "weights", "bias")}
        return LookClassifier(tuple(str(name) for name in stored["names"]), **arrays)


def write_looks(looks: LookClassifier, path: Path = LEARNED) -> None:
    """Keep `looks`; weights as float16, which changes no answer."""
    with replacing(path) as part:
        np.savez_compressed(
            part,
            names=np.array(looks.names),
            mean=looks.mean.astype(np.float16),
            spread=looks.spread.astype(np.float16),
            weights=looks.weights.astype(np.float16),
            bias=looks.bias,
        )


@dataclass(frozen=True)
class HandLabel:
    """Face `index` of the draw with `seed`, and what is seen in it; `unsure` looks are left out of learning."""

    seed: int
    index: int
    looks: frozenset[str]
    unsure: frozenset[str]


def read_hand_labels(path: Path = HAND_LABELS) -> list[HandLabel]:
    """The labels of a CSV file `seed,index,looks`: names parted by spaces, with a question mark where unsure.

    Raises ValueError for a name that is not one of `LOOKS`.
    """
    labels = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            words = row["looks"].split()
            unknown = {word.rstrip("?") for word in words} - set(LOOKS)
            if unknown:
                raise ValueError(f"{path.name}: {sorted(unknown)[0]!r} is no look; choose from: {', '.join(LOOKS)}.")
            unsure = frozenset(word[:-1] for word in words if word.endswith("?"))
            labels.append(HandLabel(int(row["seed"]), int(row["index"]), frozenset(words) & set(LOOKS), unsure))
    return labels


def learn_looks(
    descriptions: Array, labels: Sequence[HandLabel], looks: tuple[str, ...] = LOOKS
) -> tuple[LookClassifier, dict[str, float]]:
    """Logistic regression of each of `looks` on descriptions (N, F); also its area under the ROC curve.

    The weight decay is chosen, and the area taken, on folds held out of the fit.
    """
    mean, spread = descriptions.mean(0), descriptions.std(0) + 1e-3
    x = torch.from_numpy((descriptions - mean) / spread).double()
    weights, bias, areas = [], [], {}
    for look in looks:
        sure = [i for i, label in enumerate(labels) if look not in label.unsure]
        y = torch.tensor([float(look in labels[i].looks) for i in sure], dtype=torch.float64)
        penalty, areas[look] = _choose_penalty(x[sure], y)
        solved = _logistic(x[sure], y, penalty)
        weights.append(solved[:-1])
        bias.append(solved[-1])
    found = LookClassifier(looks, mean, spread, torch.stack(weights).float().numpy(), torch.stack(bias).float().numpy())
    return found, areas


def _choose_penalty(x: Tensor, y: Tensor) -> tuple[float, float]:
    """The weight decay whose held-out answers are best, and the area under their ROC curve."""
    folds = torch.arange(len(y)) % FOLDS
    tried = []
    for penalty in PENALTIES:
        scores = torch.empty_like(y)
        for fold in range(FOLDS):
            solved = _logistic(x[folds != fold], y[folds != fold], penalty)
            scores[folds == fold] = x[folds == fold] @ solved[:-1] + solved[-1]
        tried.append((roc_area(scores, y), penalty))
    area, penalty = max(tried)
    return penalty, area


def roc_area(scores: Tensor, y: Tensor) -> float:
    """How often a face with the look scores above one without; one half when either is missing."""
    there, absent = scores[y > 0.5], scores[y <= 0.5]
    if not len(there) or not len(absent):
        return 0.5
    above = (there[:, None] > absent[None]).double() + 0.5 * (there[:, None] == absent[None])
    return float(above.mean())


def _logistic(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """Weights and bias (F + 1,) of a logistic regression with weight decay, by L-BFGS."""
    solved = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([solved], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = x @ solved[:-1] + solved[-1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
        loss = loss + penalty * solved[:-1].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return solved.detach()
