"""Fréchet Video Distance (Unterthiner et al., 2018) with I3D features from a TorchScript file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rigid.arrays import Pixels

WINDOW, STRIDE = 16, 8
"""Frames of a window, and between the starts of two."""
PICTURE_SIZE = 224

Features = NDArray[np.float64]
"""(N, n_features), one row a window."""


class I3D:
    """The published `i3d_torchscript.pt`, or a file called like it."""

    def __init__(self, path: Path) -> None:
        """ValueError when `path` is not a TorchScript file."""
        if not path.is_file():
            raise ValueError(f"There is no file {path}; --i3d takes I3D weights as a TorchScript file.")
        try:
            with warnings.catch_warnings():
                # PyTorch deprecates TorchScript, but the weights everyone compares with come in no other form.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._network: Any = torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            raise ValueError(f"{path} is not a TorchScript file; --i3d takes I3D weights as one.") from error

    def __call__(self, frames: Pixels) -> Features:
        """Features of every window of consecutive `frames`, RGB (T, 224, 224, 3); (0, 0) where there are too few."""
        rows = [self._features(frames[i : i + WINDOW]) for i in range(0, len(frames) - WINDOW + 1, STRIDE)]
        return np.concatenate(rows) if rows else np.zeros((0, 0))

    def _features(self, window: Pixels) -> Features:
        video = torch.from_numpy(np.ascontiguousarray(window.transpose(3, 0, 1, 2)))[None].float()
        with torch.inference_mode():
            found = self._network(video, rescale=True, resize=True, return_features=True)
        return np.asarray(found.double().numpy().reshape(1, -1), np.float64)


def frechet_distance(first: Features, second: Features) -> float:
    """|μ1 - μ2|² + tr(Σ1 + Σ2 - 2 √(Σ1 Σ2)) of two samples (N, n_features); NaN for fewer than two rows."""
    if min(len(first), len(second)) < 2:
        return float("nan")
    means = first.mean(0) - second.mean(0)
    sigma1, sigma2 = (np.atleast_2d(np.cov(sample, rowvar=False)) for sample in (first, second))
    # √Σ1 Σ2 √Σ1 has the eigenvalues of Σ1 Σ2 and is symmetric, which keeps the root real
    root = _root(sigma1)
    trace = np.sqrt(np.linalg.eigvalsh(root @ sigma2 @ root).clip(0)).sum()
    return float(means @ means + np.trace(sigma1) + np.trace(sigma2) - 2 * trace)


def _root(matrix: Features) -> Features:
    values, vectors = np.linalg.eigh(matrix)
    root: Features = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return root
