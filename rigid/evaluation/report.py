"""`report.json` and `report.md` of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rigid.evaluation import paper
from rigid.evaluation.fvd import Features, frechet_distance
from rigid.evaluation.measure import MEASURES
from rigid.evaluation.methods import VARIANT
from rigid.evaluation.metrics import mean
from rigid.evaluation.results import Result

Cells = Sequence[str | float | None]
FACE_FRAMES = "face frames"


@dataclass
class Run:
    """What was measured, and how."""

    command: str
    """The line that makes the report again."""
    facts: dict[str, object]
    """Options and machine, by name."""
    methods: Sequence[str]
    results: dict[tuple[str, str], Result] = field(default_factory=dict)
    """What was measured, by clip and method."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Clips that could not be measured, and why."""

    @property
    def clips(self) -> list[str]:
        """The clips that were measured, in order."""
        return list(dict.fromkeys(clip for clip, _ in self.results))


def report_json(run: Run) -> dict[str, object]:
    """The content of `report.json`."""
    methods = {method: {"mean": means(run, method), "clips": _clips(run, method)} for method in run.methods}
    return {"command": run.command, **run.facts, "skipped": run.skipped, "methods": methods}


def means(run: Run, method: str) -> dict[str, float]:
    """Average every measure as the mean of the clips' values, and the FVDs, which all clips share."""
    results = [run.results[clip, method] for clip in run.clips]
    averaged = {name: mean(result.means[name] for result in results) for name in MEASURES}
    features = [result.features for result in results if result.features]
    if not features:
        return averaged
    source, inverted, edited = (_join(features, name) for name in ("source", "inverted", "edited"))
    return averaged | {"fvd": frechet_distance(source, inverted), "fvd_edited": frechet_distance(source, edited)}


def _join(features: Sequence[Mapping[str, Features]], name: str) -> Features:
    rows = [one[name] for one in features if one[name].size]
    return np.concatenate(rows) if rows else np.zeros((0, 0))


def _clips(run: Run, method: str) -> dict[str, object]:
    return {
        clip: {**run.results[clip, method].counts, **run.results[clip, method].means}
        | {"edit_strengths": run.results[clip, method].strengths}
        for clip in run.clips
    }


def report_markdown(run: Run) -> str:
    """The content of `report.md`: tables shaped like the paper's, its own figures beside ours."""
    averaged = {method: means(run, method) for method in run.methods}
    plain = [method for method in run.methods if not method.startswith(VARIANT)]
    parts = [
        "# Evaluation",
        f"```sh\n{run.command}\n```",
        "\n".join(f"- {name.replace('_', ' ')}: {_fact(value)}" for name, value in run.facts.items()),
        *([_format_skipped(run)] if run.skipped else []),
        "The paper's rows are the paper's own figures, on its data sets: WE is not comparable between data sets, so "
        "read its ratio to the source video's own. `docs/evaluation.md` says what each measure is.",
        _inversion_table({method: averaged[method] for method in plain}),
        _editing_table({method: averaged[method] for method in plain}),
        *([_variants_table(averaged)] if len(plain) < len(run.methods) else []),
        _clip_table(run),
    ]
    return "\n\n".join(parts) + "\n"


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_cell(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _format_skipped(run: Run) -> str:
    return "Not measured:\n\n" + "\n".join(f"- {clip}: {reason}" for clip, reason in run.skipped.items())


def _inversion_table(averaged: Mapping[str, Mapping[str, float]]) -> str:
    header = ("method", "clips", "MSE×100 ↓", "LPIPS ↓", "WE ↓", "source's WE", "WE/source ↓", "FVD ↓", "IT ↓ (s)")
    rows: list[Cells] = [
        (f"**{method}**", "these", *_inversion(values), _seconds(values)) for method, values in averaged.items()
    ]
    for name, figures in paper.INVERSION.items():
        for data, row in zip(paper.DATA_SETS, figures, strict=True):
            cells = (row.mse, row.lpips, row.warp_error, None, None, row.fvd, row.seconds)
            rows.append((f"{name} (paper){_ours(name, averaged)}", data, *cells))
    return "## Table 1: video inversion\n\n" + _table(header, rows)


def _inversion(values: Mapping[str, float]) -> Cells:
    warp = (values["warp_error"], values["warp_error_source"], values["warp_ratio"])
    return (100 * values["mse"], values["lpips"], *warp, values.get("fvd"))


def _editing_table(averaged: Mapping[str, Mapping[str, float]]) -> str:
    own = ("ID source–edited ↑", "edit strength ↑", "edited WE/source ↓")
    header = ("method", "clips", "TL-ID ↑", "TG-ID ↑", "FVD ↓", "IT ↓ (s)", *own)
    rows: list[Cells] = []
    for method, values in averaged.items():
        ours = (values["id_source_edited"], values["edit_strength"], values["warp_ratio_edited"])
        editing = (values["tl_id"], values["tg_id"], values.get("fvd_edited"), _seconds(values))
        rows.append((f"**{method}**", "these", *editing, *ours))
    for name, figures in paper.EDITING.items():
        for data, row in zip(paper.DATA_SETS, figures, strict=True):
            cells = (row.tl_id, row.tg_id, row.fvd, row.seconds, None, None, None)
            rows.append((f"{name} (paper){_ours(name, averaged)}", data, *cells))
    return "## Table 2: video editing\n\n" + _table(header, rows)


def _variants_table(averaged: Mapping[str, Mapping[str, float]]) -> str:
    inversion = ("MSE×100 ↓", "LPIPS ↓", "WE ↓", "source's WE", "WE/source ↓", "FVD ↓")
    header = ("variant", "clips", *inversion, "TL-ID ↑", "TG-ID ↑", "FVD (edited) ↓")
    rows: list[Cells] = [
        (f"**{method}**", "these", *_inversion(values), values["tl_id"], values["tg_id"], values.get("fvd_edited"))
        for method, values in averaged.items()
        if method.startswith("rigid")
    ]
    for name, (first, second) in paper.VARIANTS.items():
        cells = (first.mse, first.lpips, first.warp_error, None, None, first.fvd)
        rows.append((f"{name} (paper)", paper.DATA_SETS[0], *cells, second.tl_id, second.tg_id, second.fvd))
    note = (
        "Ours leave the part out of the trained networks at run time; the paper's were trained without it, and its two "
        "lower variants lack a loss of the training."
    )
    return f"## Table 3: what each part is for\n\n{note}\n\n" + _table(header, rows)


def _clip_table(run: Run) -> str:
    shown = ("mse", "lpips", "warp_ratio", "warp_ratio_edited", "tl_id", "tg_id", "id_source_edited", "edit_strength")
    header = ("clip", "method", FACE_FRAMES, *(name.replace("_", " ") for name in shown), "ms a frame")
    rows: list[Cells] = []
    for (clip, method), result in run.results.items():
        count = f"{result.counts['face_frames']} of {result.counts['frames']}"
        values = [result.means[name] for name in shown]
        rows.append((clip, method, count, *values, f"{result.means['ms_per_frame']:.0f}"))
    return "## Each clip\n\n" + _table(header, rows)


def _ours(name: str, averaged: Mapping[str, object]) -> str:
    """Which of our rows stands for the paper's `name`."""
    found = [ours for ours, theirs in paper.COUNTERPARTS.items() if theirs in name and ours in averaged]
    return f", cf. {found[0]}" if found else ""


def _seconds(values: Mapping[str, float]) -> float:
    """IT: seconds for 100 frames."""
    return values["ms_per_frame"] / 10


def _table(header: Sequence[str], rows: Sequence[Cells]) -> str:
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}" if abs(value) < 1e4 else f"{value:.1e}"
    return "–" if value is None else str(value)
