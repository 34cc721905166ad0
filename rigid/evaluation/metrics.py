"""The measures of inversion and of identity, as plain functions of arrays.

Aligned faces are float32 (S, S, 3) RGB in [-1, 1]. Embeddings are unit vectors, so that their dot product is
their cosine similarity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from statistics import stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rigid.arrays import Array

Embeddings = Mapping[int, NDArray[np.floating[Any]]]
"""The embeddings of a video's faces by frame number; frames that were not measured are missing."""


def mean_squared_error(face: Array, inverted: Array) -> float:
    """Mean over pixels and channels of the squared difference, values in [-1, 1]: 4 at most."""
    return float(np.square(face - inverted).mean(dtype=np.float64))


def lpips_distance(network: nn.Module, face: Array, inverted: Array) -> float:
    """LPIPS by `network`, which takes two batches (B, 3, S, S) in [-1, 1] and gives a distance for each pair."""
    with torch.inference_mode():
        pictures = (np.ascontiguousarray(image.transpose(2, 0, 1)) for image in (face, inverted))
        distance = network(*(torch.from_numpy(picture)[None] for picture in pictures))
    return float(distance)


def local_similarity(embeddings: Embeddings) -> float:
    """Mean similarity of neighbouring frames; NaN where no two frames are neighbours."""
    return mean(_similarity(embeddings, i, i + 1) for i in embeddings if i + 1 in embeddings)


def global_similarity(embeddings: Embeddings, frames: Iterable[int] | None = None) -> float:
    """Mean similarity of all pairs of `frames`, of all that there are unless given; NaN without a pair."""
    chosen = sorted(embeddings if frames is None else set(frames) & set(embeddings))
    return mean(_similarity(embeddings, i, j) for i, j in combinations(chosen, 2))


def tl_id(output: Embeddings, source: Embeddings) -> float:
    """TL-ID (Tzaban et al., 2022): `local_similarity` of the output over that of the source; 1: as steady as it."""
    return _ratio(local_similarity(output), local_similarity(source))


def tg_id(output: Embeddings, source: Embeddings, frames: Iterable[int] | None = None) -> float:
    """TG-ID (Tzaban et al., 2022): `global_similarity` of the output over that of the source."""
    chosen = None if frames is None else list(frames)
    return _ratio(global_similarity(output, chosen), global_similarity(source, chosen))


def measure_paired_similarity(output: Embeddings, source: Embeddings) -> float:
    """Mean similarity of each frame's output with its source: how far the person stays the same."""
    return mean(float(output[i] @ source[i]) for i in sorted(set(output) & set(source)))


def mean(values: Iterable[float]) -> float:
    """The mean of the finite ones of `values`; NaN of none."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def standard_error(values: Iterable[float]) -> float:
    """By how much the mean of the finite ones of `values` may be off, one standard deviation; NaN of fewer than two."""
    finite = [value for value in values if math.isfinite(value)]
    return stdev(finite) / math.sqrt(len(finite)) if len(finite) > 1 else math.nan


def _similarity(embeddings: Embeddings, i: int, j: int) -> float:
    return float(embeddings[i] @ embeddings[j])


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference else math.nan
