"""Picture grids written beside the checkpoints, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from rigid.training.fast_inference import to_bytes


def write_grid(path: Path, rows: Sequence[Tensor]) -> None:
    """Write one row for each batch of `rows`, (B, 3, H, W) RGB in [-1, 1]; a column a sample."""
    strips = [np.concatenate(list(to_bytes(row.detach().float().cpu().numpy())), 2) for row in rows]
    grid = np.concatenate(strips, 1).transpose(1, 2, 0)
    if not cv2.imwrite(str(path), grid[..., ::-1]):
        raise OSError(f"could not write {path}")
