"""Weights as they ship: float16, in one file that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from rigid.replacing import replacing


def write_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a network's `state_dict`, or a part of it, as `.safetensors`."""
    with replacing(path) as part:
        save_file({name: value.half().cpu().contiguous() for name, value in state.items()}, part)
