"""The weights of the profiles' networks as arrays, and what is folded into them before a network runs.

Knows no PyTorch: what serves fills its graphs from here, and PyTorch's networks are given the same arrays.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.models.fetched import State, read_mapping, read_synthesis
from rigid.models.profiles import PAPER, existing_weights, sizes_of, unfit_weights

TUNED_PARTS = ("levels.4.", "head.")
"""The parts of the `mobile-256` generator this project trained; the others come from the fetched files."""
CUT_OFF = ("levels.5.", "levels.6.")
"""The levels of the fetched generator that are larger than the profile's pictures."""
EPSILON = 1e-5
"""Of every BatchNorm."""
READ_OUT = re.compile(r"head\.((middle|last)\.)?pointwise\.")
ORDERED = re.compile(r"conv1\.pointwise\.|levels\.\d+\.(up|conv2\.pointwise)\.")


def read_weights(path: Path) -> State:
    """The weights at `path` as float32; AssetError where the file is damaged."""
    try:
        return {name: value.astype(np.float32) for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise unfit_weights(path) from error


def read_generator(profile: str, store: AssetStore) -> State:
    """The weights of a profile's `MobileStyleGAN`: those fetched, and this project's for `TUNED_PARTS`."""
    fetched = read_synthesis(store.file("generator", "SynthesisNetwork.xml"))
    kept = {name: value for name, value in fetched.items() if not name.startswith(TUNED_PARTS + CUT_OFF)}
    return kept | read_weights(existing_weights(profile, "generator"))


def read_mapping_weights(profile: str, store: AssetStore) -> tuple[State, Path]:
    """The weights of the profile's `MappingNetwork`, and the file that they come from."""
    sizes_of(profile)
    if profile == PAPER:
        path = existing_weights(profile, "mapping")
        return read_weights(path), path
    path = store.file("generator", "MappingNetwork.xml")
    return read_mapping(path), path


def fold_batch_norms(state: State) -> State:
    """The same network, in eval mode, without the BatchNorms that follow a convolution in a `Sequential`."""
    folded = dict(state)
    for norm in [name.removesuffix(".running_mean") for name in state if name.endswith(".running_mean")]:
        sequence, _, place = norm.rpartition(".")
        convolution = f"{sequence}.{int(place) - 1}" if place.isdecimal() else ""
        if np.ndim(state.get(f"{convolution}.weight", ())) != 4:
            continue
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + np.float32(EPSILON))
        bias = state.get(f"{convolution}.bias", np.float32(0)) - state[f"{norm}.running_mean"]
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            del folded[f"{norm}.{part}"]
        folded[f"{convolution}.weight"] = state[f"{convolution}.weight"] * scale[:, None, None, None]
        folded[f"{convolution}.bias"] = bias * scale + state[f"{norm}.bias"]
    return folded


def order_bands(channels: int) -> NDArray[np.int64]:
    """Where each of `channels` wavelet features lies in `split_bands`' order, when they are put as low, LH, HL, HH."""
    low = np.arange(channels // 4)
    return np.concatenate([low, *(channels // 4 + 3 * low + band for band in range(3))])


def order_generator(state: State) -> State:
    """The weights of a `LeanGenerator`, from those of its `MobileStyleGAN`.

    What makes wavelet bands makes them in `order_bands`; the head's read-outs halve them too.
    """
    levels = [int(found[1]) for name in state if (found := re.match(r"levels\.(\d+)\.", name))]
    # its answer goes to the head, which no wavelet transform precedes
    plain = f"levels.{max(levels)}.conv2."
    return {name: _order(name, value) if not name.startswith(plain) else value for name, value in state.items()}


def _order(name: str, value: Array) -> Array:
    if READ_OUT.match(name):
        return np.float32(0.5) * value[order_bands(len(value))]
    return value[order_bands(len(value))] if ORDERED.match(name) else value
