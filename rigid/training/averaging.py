"""Weights between those that ship and those that training carried on to from them.

Fine-tuned weights lie in the same basin as those they began from, and the straight line between holds networks that
keep most of what was learned and lose less of what was there (WiSE-FT, Wortsman et al., CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from rigid.atomic_files import replacing
from rigid.models.profiles import WEIGHTS
from rigid.training.judge import FILES, PROFILE


def average_folder(candidate: Path, share: float) -> Path:
    """Make a folder beside `candidate` with the weights that lie `share` of the way to its encoders' from what ships.

    ValueError where these are another network's.
    """
    folder = candidate.with_name(f"{candidate.name}-{share:g}")
    folder.mkdir(exist_ok=True)
    for path in [candidate / name for name in FILES if (candidate / name).is_file()]:
        with replacing(folder / path.name) as part:
            save_file(average(load_file(WEIGHTS / PROFILE / path.name), load_file(path), share), part)
    return folder


def average(
    shipped: Mapping[str, np.ndarray], learned: Mapping[str, np.ndarray], share: float
) -> dict[str, np.ndarray]:
    """(1 - `share`) · `shipped` + `share` · `learned`, computed in float32, in the type of `shipped`."""
    if {name: value.shape for name, value in shipped.items()} != {name: value.shape for name, value in learned.items()}:
        raise ValueError("The weights to average are not of the same network as those that ship.")
    return {name: _between(value, learned[name], np.float32(share)) for name, value in shipped.items()}


def _between(one: np.ndarray, other: np.ndarray, share: np.float32) -> np.ndarray:
    values = (1 - share) * one.astype(np.float32) + share * other.astype(np.float32)
    return np.asarray(values, one.dtype).reshape(one.shape)
