"""The record of a discovery: calibration table, entanglement table as a heat map, both as JSON too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rigid.atomic_files import replacing, write_json, write_text
from rigid.discovery.statement import Statement

LEFT_OUT_MEASURES = ("lips_gap", "sad", "angry", "surprised", "blond", "dark", "makeup")
"""Measures that others of the table say better."""
MOST_SHOWN = 2.0
"""Changes of this many standard deviations and more have the heat map's darkest colours."""


def entanglement(statements: Sequence[Statement]) -> tuple[list[str], NDArray[np.float64]]:
    """The measures' names (M,), and each attribute's change of each measure (A, M) in standard deviations."""
    names = [name for name in statements[0].entangled if name not in LEFT_OUT_MEASURES]
    return names, np.array([[one.entangled[name] for name in names] for one in statements])


def write_heat_map(path: Path, statements: Sequence[Statement]) -> None:
    """Draw the entanglement table: a row an attribute, a column a measure; its own measure is framed."""
    # slow to import, and used once a run
    from matplotlib.figure import Figure

    names, table = entanglement(statements)
    figure = Figure(figsize=(0.34 * len(names) + 2, 0.27 * len(statements) + 2), layout="constrained")
    axes = figure.add_subplot(title="Mean change at strength 1, in standard deviations between faces")
    picture = axes.imshow(table, cmap="RdBu_r", vmin=-MOST_SHOWN, vmax=MOST_SHOWN, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(statements)), [one.name for one in statements], fontsize=8)
    for row, one in enumerate(statements):
        for column, value in enumerate(table[row]):
            own = names[column] == one.measure
            if own or abs(value) >= 0.5:
                shade = "white" if abs(value) > 0.7 * MOST_SHOWN else "black"
                weight = "bold" if own else "normal"
                axes.text(column, row, f"{value:.1f}", ha="center", va="center", size=6, color=shade, weight=weight)
    figure.colorbar(picture, ax=axes, shrink=0.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        figure.savefig(part, dpi=110)


def calibration_table(statements: Sequence[Statement]) -> str:
    """A Markdown table: target and reached change, on generated and on real faces, and who is still who.

    Of real faces: as codes of the image encoder, and as a stream shows them.
    """
    lines = [
        "| attribute | measure | target | reached (faces) | at -1 | clips' codes (faces) | in video (faces) | at -1 "
        "| identity |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in statements:
        cells = (
            one.name,
            one.measure,
            f"{one.target:+.3g}",
            _format_reached(one, "generated", counted=True),
            _format_reached(one, "generated_back", counted=False),
            _format_reached(one, "clips", counted=True),
            _format_reached(one, "video", counted=True),
            _format_reached(one, "video_back", counted=False),
            "" if one.identity is None else f"{one.identity:.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _format_reached(one: Statement, where: str, *, counted: bool) -> str:
    if where not in one.reached:
        return ""
    text = f"{one.reached[where]:+.3g}"
    return f"{text} ({one.faces[where]})" if counted and where in one.faces else text


def write_report(folder: Path, statements: Sequence[Statement], facts: dict[str, object]) -> None:
    """Write `report.json`, `calibration.md` and `entanglement.png` into `folder`."""
    record = facts | {"attributes": {one.name: asdict(one) for one in statements}}
    write_json(folder / "report.json", record)
    write_text(folder / "calibration.md", calibration_table(statements))
    write_heat_map(folder / "entanglement.png", statements)
