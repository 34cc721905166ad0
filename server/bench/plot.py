"""A benchmark's figures as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rigid.atomic_files import replacing
from server.bench.measure import STAGES

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#b279a2")


def plot(done: dict[str, Any], path: Path) -> None:
    """Write `path`: where a frame's time goes, and how many frames a second that makes, sessions beside eager."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    stages, rates = figure.subplots(1, 2)
    rows = [(f"{entry['n']}", entry) for entry in done["sessions"]] + [("eager", row) for row in [done["eager"]] if row]
    names = [name for name, _ in rows]
    bottom = [0.0] * len(rows)
    for stage, colour in zip(STAGES, COLOURS, strict=True):
        heights = [row["stage_ms"][stage] for _, row in rows]
        stages.bar(names, heights, bottom=bottom, label=stage, color=colour)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    stages.set(xlabel="sessions", ylabel="ms a frame, medians of the stages")
    stages.legend()
    bars = rates.bar(names, [row["fps"] for _, row in rows], color=COLOURS[0])
    rates.bar_label(bars, fmt="%.1f")
    rates.set(xlabel="sessions", ylabel="frames a second, all sessions")
    width, height = done["frame_size"]
    figure.suptitle(f"{done['profile']} on {done['engine']}, {width}×{height}, {done['machine']['processor']}")
    with replacing(path) as part, part.open("wb") as stream:
        canvas.print_png(stream)  # type: ignore[no-untyped-call]
