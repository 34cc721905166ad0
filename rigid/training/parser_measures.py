"""How well labels agree, and how they look."""

from __future__ import annotations

import numpy as np

from rigid.arrays import Labels
from rigid.models.contract import CLASSES

# fmt: off
PAINTS = np.array([
    (40, 40, 40), (230, 180, 150), (120, 60, 20), (60, 120, 255), (255, 140, 90), (220, 30, 60), (120, 0, 60),
    (200, 160, 30), (255, 0, 255), (150, 110, 90), (60, 160, 60), (0, 255, 255), (255, 255, 0), (255, 255, 255),
], np.uint8)
# fmt: on
"""A colour for each class, RGB."""


def iou(found: Labels, truth: Labels) -> dict[str, float]:
    """Intersection over union of each class that is in `truth`, over all pictures, and their mean.

    `found`, `truth`: labels of the same shape; where `truth` is no class, nothing is counted.
    """
    known = truth < len(CLASSES)
    places = found[known].astype(np.int64) * len(CLASSES) + truth[known]
    table = np.bincount(places, minlength=len(CLASSES) ** 2).reshape(len(CLASSES), len(CLASSES))
    both, either = np.diag(table), table.sum(0) + table.sum(1) - np.diag(table)
    values = {name: float(both[i] / either[i]) for i, name in enumerate(CLASSES) if table[:, i].any()}
    return {"mean": float(np.mean(list(values.values())))} | values


def majority(labels: Labels, side: int) -> Labels:
    """`labels` (N, S, S) with a place for a square of `side`²: its most frequent one, the lowest of equals."""
    squares = labels.reshape(len(labels), labels.shape[1] // side, side, -1, side).transpose(0, 1, 3, 2, 4)
    flat = squares.reshape(*squares.shape[:3], -1)
    counts = (flat[..., None] == flat[..., None, :]).sum(-1)
    most = np.where(counts == counts.max(-1, keepdims=True), flat, 255).min(-1)
    return np.asarray(most, np.uint8)


def paint(labels: Labels) -> Labels:
    """`labels` (..., H, W) in colours (..., H, W, 3); red where unknown."""
    shown = PAINTS[np.minimum(labels, len(CLASSES) - 1)]
    shown[labels >= len(CLASSES)] = (255, 0, 0)
    return shown
