"""What a run logs, as curves: TensorBoard events while it goes on, and a PNG to look at."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from rigid.reporting import Say

Series = dict[str, list[tuple[int, float]]]


def open_board(folder: Path, say: Say) -> Any:
    """TensorBoard's writer of a log in `folder`; None, and that is said, where it is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        say("tensorboardX is not installed (pip install 'rigid-live[train]'): no TensorBoard log, only log.jsonl.")
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def read_log(path: Path) -> Series:
    """The curves in a `log.jsonl`; of a step that was logged twice, as after a resume, the last counts."""
    curves: dict[str, dict[int, float]] = {}
    for line in path.read_text("utf-8").splitlines():
        values = json.loads(line)
        for name, value in values.items():
            if name not in ("step", "seconds") and math.isfinite(value):
                curves.setdefault(name, {})[values["step"]] = value
    return {name: sorted(points.items()) for name, points in curves.items()}


def write_curves(log: Path, picture: Path) -> None:
    """Draw every curve of `log` into the PNG `picture`, noisy ones with their running mean."""
    # slow to import, and used only now and then
    from matplotlib.figure import Figure

    curves = read_log(log)
    if not curves:
        return
    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    for place, (name, points) in enumerate(curves.items()):
        axes = figure.add_subplot(rows, columns, place + 1, title=name)
        steps, values = np.array(points).T
        axes.plot(steps, values, "." if len(points) < 3 else "-", linewidth=0.8, alpha=0.5)
        if len(points) >= 10:
            axes.plot(steps, running_mean(values, max(3, len(points) // 20)), linewidth=1.5)
        if (values > 0).all():
            axes.set_yscale("log")
    temporary = picture.with_suffix(".part.png")
    figure.savefig(temporary, dpi=80)
    temporary.replace(picture)


def running_mean(values: np.ndarray[Any, np.dtype[np.float64]], width: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The mean of up to `width` values on either side of each, fewer at the ends."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    low = np.maximum(np.arange(len(values)) - width, 0)
    high = np.minimum(np.arange(len(values)) + width + 1, len(values))
    means: np.ndarray[Any, np.dtype[np.float64]] = (sums[high] - sums[low]) / (high - low)
    return means
