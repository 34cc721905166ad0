"""Pictures as networks have them and as bytes, and grids of them to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Pixels
from rigid.fields import to_pixels
from rigid.training.device import DEVICE


def from_bytes(images: Pixels) -> Tensor:
    """uint8 images as float32 tensors in [-1, 1] on the training device, same shape, channels last in memory."""
    return (torch.from_numpy(images).to(DEVICE).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def write_grid(path: Path, rows: Sequence[Tensor]) -> None:
    """Write one row for each batch of `rows`, (B, 3, H, W) RGB in [-1, 1]; a column a sample."""
    strips = [np.concatenate(list(to_pixels(row.detach().float().cpu().numpy())), 2) for row in rows]
    grid = np.concatenate(strips, 1).transpose(1, 2, 0)
    if not cv2.imwrite(str(path), grid[..., ::-1]):
        raise OSError(f"could not write {path}")
