"""For whom it works: what was measured of people, compared by groups; `fairness.json` and `fairness.md`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rigid.atomic_files import write_json, write_text
from rigid.evaluation import metrics
from rigid.evaluation.groups import AXES, Groups
from rigid.evaluation.results import without_nan

COMPARED = {"identity": 1, "strength": 1, "lpips": -1, "without_signs": 1}
"""What is compared, and whether more of it (1) or less (-1) is better; docs/evaluation.md says what each is."""
LEAST_PEOPLE = 3
"""A group of fewer says nothing."""


@dataclass(frozen=True)
class Person:
    """One face, the group it is counted to on every axis, and what was measured of it; NaN for what could not be."""

    name: str
    groups: Groups
    identity: float
    """Similarity of the edited face with the real one, mean over the edits."""
    strengths: dict[str, float]
    """The amount by which each edit changed its measure; NaN for who has no room for it, as who smiles already."""
    lpips: float
    """Distance of the inverted face from the real one."""
    without_signs: float
    """Share of the edits that show no sign of a fault."""


@dataclass
class Fairness:
    """What was measured."""

    generated: list[Person] = field(default_factory=list)
    clips: list[Person] = field(default_factory=list)
    drawn: int = 0
    """How many generated faces were looked at to have the groups balanced."""
    skipped: dict[str, str] = field(default_factory=dict)


def compare(people: Sequence[Person]) -> dict[str, dict[str, dict[str, float]]]:
    """Compare groups: how many `people`, the means of `COMPARED`, and for each its standard error, `..._error`.

    `strength` is over everybody's mean change.
    """
    typical = {name: metrics.mean(person.strengths[name] for person in people) for name in people[0].strengths}
    values = {person.name: _values(person, typical) for person in people}
    everybody = {"everybody": {"all": _group(list(values.values()))}}
    return everybody | {
        axis: {
            group: _group([values[person.name] for person in people if person.groups[axis] == group])
            for group in groups
        }
        for axis, groups in AXES.items()
    }


def _values(person: Person, typical: Mapping[str, float]) -> dict[str, float]:
    parts = [person.strengths[name] / change for name, change in typical.items() if change > 0]
    return {
        "identity": person.identity,
        "strength": metrics.mean(parts),
        "lpips": person.lpips,
        "without_signs": person.without_signs,
    }


def _group(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    means = {measure: metrics.mean(one[measure] for one in values) for measure in COMPARED}
    errors = {f"{measure}_error": metrics.standard_error(one[measure] for one in values) for measure in COMPARED}
    return {"people": float(len(values)), **means, **errors}


def shortfalls(table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Tell by axis and measure by what share of everybody's mean the worst group of `LEAST_PEOPLE` or more is worse."""
    mean = table["everybody"]["all"]
    found: dict[str, dict[str, float]] = {}
    for axis in AXES:
        groups = [group for group in table[axis].values() if group["people"] >= LEAST_PEOPLE]
        found[axis] = {
            measure: max((sign * (1 - group[measure] / (mean[measure] or math.nan)) for group in groups), default=0.0)
            for measure, sign in COMPARED.items()
        }
    return found


def write_fairness(out: Path, found: Fairness, facts: Mapping[str, object], command: str) -> None:
    """Write `fairness.json` and `fairness.md` to `out`; `facts`: what was asked for, and of what."""
    tables = {name: compare(people) for name, people in _people(found).items()}
    report = {
        "command": command,
        **facts,
        "drawn": found.drawn,
        "skipped": found.skipped,
        "groups": tables,
        "shortfalls": {name: shortfalls(table) for name, table in tables.items()},
        "people": {name: [asdict(person) for person in people] for name, people in _people(found).items()},
    }
    write_json(out / "fairness.json", without_nan(report))
    parts = ["# For whom it works", f"```sh\n{command}\n```"]
    parts += [f"## {name.capitalize()}\n\n{_table(table)}" for name, table in tables.items()]
    write_text(out / "fairness.md", "\n\n".join(parts) + "\n")


def _people(found: Fairness) -> dict[str, list[Person]]:
    return {name: people for name, people in (("generated", found.generated), ("clips", found.clips)) if people}


def _table(table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    lines = ["| | group | people | identity ↑ | strength ↑ | LPIPS ↓ | without signs ↑ |", "|" + "---|" * 7]
    worst = shortfalls(table)
    for axis, groups in table.items():
        for group, values in groups.items():
            numbers = " | ".join(_cell(values[measure], values[f"{measure}_error"]) for measure in COMPARED)
            lines.append(f"| {axis} | {group} | {values['people']:.0f} | {numbers} |")
        if axis in worst:
            numbers = " | ".join("–" if math.isnan(v) else f"{-v:+.0%}" for v in worst[axis].values())
            lines.append(f"| {axis} | *worst group, beside the mean* | | {numbers} |")
    return "\n".join(lines)


def _cell(value: float, error: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.3f} ± {error:.3f}" if math.isfinite(error) else f"{value:.3f}"
