"""Every frame's measures of a clip as curves, one a method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from rigid.atomic_files import replacing
from rigid.evaluation.results import Result

PANELS = {
    "mse": "aligned MSE",
    "lpips": "LPIPS",
    "warp_error": "warp error, inverted",
    "warp_error_edited": "warp error, edited",
    "id_source_edited": "identity: edited with source",
    "edit_strength": "edit strength",
}
SOURCE_CURVES = ("warp_error", "warp_error_edited")
"""Panels that also show the source video's own warp error."""


def write_plots(path: Path, clip: str, results: Mapping[str, Result]) -> None:
    """Write the PNG `path` with the curves of `clip` by method."""
    # slow to import, and used once a run
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    figure.suptitle(clip)
    for place, (name, title) in enumerate(PANELS.items()):
        axes = figure.add_subplot(2, 3, place + 1, title=title, xlabel="frame")
        curves = {method: result.frames.get(name, {}) for method, result in results.items()}
        if name in SOURCE_CURVES:
            curves["source"] = next(iter(results.values())).frames.get("warp_error_source", {})
        for method, points in curves.items():
            style = "k:" if method == "source" else "-"
            axes.plot(list(points), list(points.values()), style, linewidth=1, label=method)
        if any(map(math.isfinite, (value for points in curves.values() for value in points.values()))):
            axes.legend(fontsize="small")
    with replacing(path) as part:
        figure.savefig(part, dpi=90)
