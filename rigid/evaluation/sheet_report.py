"""What the cells of a contact sheet show, beside what the eye says of them; `sheet.json` and `sheet.md`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rigid.evaluation.fault_signs import FAULTS, THRESHOLDS, Signs
from rigid.evaluation.metrics import mean


@dataclass(frozen=True)
class Row:
    """What is known of one cell."""

    clip: str
    edit: str
    signs: Signs
    warp_ratio: float

    @property
    def faults(self) -> list[str]:
        """What the signs tell of."""
        return self.signs.faults()

    @property
    def caption(self) -> str:
        """What stands above the cell's picture."""
        return f"{self.clip}: {', '.join(self.faults) or 'no sign of a fault'}"

    def describe(self) -> dict[str, object]:
        """Describe the row, ready for JSON."""
        signs = self.signs
        least, most = signs.half_edit, signs.flicker
        values = {"seam": signs.seam, "double_edges": signs.double_edges, "half_edit": least, "flicker": most}
        regions = {"shares": signs.shares, "flickers": signs.flickers}
        head = {"clip": self.clip, "edit": self.edit, "faults": self.faults, "warp_ratio": self.warp_ratio}
        return head | {"signs": values} | regions


@dataclass
class Sheet:
    """What was made."""

    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Clips that are not on it, and why."""

    def of_edit(self, edit: str) -> list[Row]:
        """The cells of one column."""
        return [row for row in self.rows if row.edit == edit]


def edit_name(name: str, strength: float) -> str:
    """An edit as files and tables call it, such as `smile+1`."""
    return f"{name}{strength:+g}"


def describe_sheet(
    sheet: Sheet, edits: Sequence[str], facts: Mapping[str, object], judged: Mapping[str, float] | None, command: str
) -> dict[str, object]:
    """Describe the sheet with a column for each of `edits`, ready for JSON; `facts`: what was asked for."""
    return {
        "command": command,
        **facts,
        "thresholds": asdict(THRESHOLDS),
        "skipped": sheet.skipped,
        "edits": {edit: _summary(sheet.of_edit(edit)) for edit in edits},
        "cells": [row.describe() for row in sheet.rows],
        "agreement": judged,
    }


def _summary(rows: Sequence[Row]) -> dict[str, object]:
    return {
        "cells": len(rows),
        "with_signs": sum(bool(row.faults) for row in rows),
        "warp_ratio": mean(row.warp_ratio for row in rows),
        **{fault.replace(" ", "_"): sum(fault in row.faults for row in rows) for fault in FAULTS},
    }


def draw_table(sheet: Sheet, edits: Sequence[str], judged: Mapping[str, float] | None, command: str) -> str:
    """The content of `sheet.md`: how many cells of each of `edits` show which signs."""
    header = ("edit", "cells", "with signs", *FAULTS, "edited WE/source")
    lines = [header, ["---"] * len(header)]
    for edit in edits:
        found = _summary(sheet.of_edit(edit))
        counts = [str(found[name.replace(" ", "_")]) for name in ("cells", "with signs", *FAULTS)]
        ratio = found["warp_ratio"]
        lines.append([edit, *counts, f"{ratio:.2f}" if isinstance(ratio, float) and math.isfinite(ratio) else "–"])
    parts = ["# Contact sheet", f"```sh\n{command}\n```", "\n".join("| " + " | ".join(line) + " |" for line in lines)]
    parts += [f"- {clip} is left out: {reason}" for clip, reason in sheet.skipped.items()]
    if judged is not None:
        parts.append("Signs and eye: " + ", ".join(f"{name.replace('_', ' ')} {v:g}" for name, v in judged.items()))
    return "\n\n".join(parts) + "\n"


def read_judged(path: Path) -> dict[tuple[str, str], bool]:
    """Whether each cell, by clip and edit, is faulty to the eye: a CSV file `clip,edit,faulty`, the last yes or no.

    ValueError, one sentence, when it is not one.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = {(row["clip"], row["edit"]): {"yes": True, "no": False}[row["faulty"]] for row in rows}
    except (OSError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is no list of judged cells; a CSV file clip,edit,faulty (yes, no) is taken."
        ) from error
    if not found:
        raise ValueError(f"{path} judges no cell; give a line clip,edit,faulty (yes, no) for each.")
    return found


def agreement(sheet: Sheet, judged: Mapping[tuple[str, str], bool]) -> dict[str, float]:
    """How often signs and eye say the same of the cells that are `judged` and on the sheet."""
    pairs = [(bool(row.faults), judged[row.clip, row.edit]) for row in sheet.rows if (row.clip, row.edit) in judged]
    return {
        "judged": len(pairs),
        "agree": sum(sign == eye for sign, eye in pairs),
        "both": sum(sign and eye for sign, eye in pairs),
        "eye_only": sum(eye and not sign for sign, eye in pairs),
        "signs_only": sum(sign and not eye for sign, eye in pairs),
        "share": mean(float(sign == eye) for sign, eye in pairs),
    }
