"""StyleGAN2's mapping network in NumPy, for those who draw a few faces and have no PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.models.fetched import State
from rigid.models.weights import read_mapping_weights

LEAK = np.float32(0.2)
GAIN = np.float32(math.sqrt(2))


def read_map(profile: str, store: AssetStore) -> Callable[[Array], Array]:
    """The profile's mapping network, z (B, 512) → w (B, 512); AssetError where its weights cannot be had."""
    return partial(map_codes, read_mapping_weights(profile, store)[0])


def map_codes(weights: State, z: Array) -> Array:
    """What a `MappingNetwork` with these weights makes of z (B, C)."""
    x: Array = z / np.sqrt(np.square(z).mean(1, keepdims=True) + np.float32(1e-8))
    for i in range(len(weights) // 2):
        x = x @ weights[f"layers.{i}.weight"].T + weights[f"layers.{i}.bias"]
        x = np.where(x > 0, x, LEAK * x) * GAIN
    return x
