"""A whole contact sheet: every clip under every edit, pages to look at, and the signs of faults in each cell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rigid.atomic_files import write_json, write_text
from rigid.composite.compositor import CompositeKind
from rigid.edits.library import AttributeLibrary
from rigid.evaluation.cells import Take, Unusable, make_cell, take_from
from rigid.evaluation.contact_sheet import draw_cell, draw_pages
from rigid.evaluation.fault_signs import Signs
from rigid.evaluation.results import check_out, file_stamp, hash_of, to_number, without_nan
from rigid.evaluation.sheet_report import Row, Sheet, agreement, describe_sheet, draw_table, edit_name, read_judged
from rigid.files.clips import Clip, find_clips
from rigid.files.image_reading import read_image
from rigid.files.image_writing import write_image
from rigid.files.video_reader import VideoError
from rigid.models.contract import Runtime
from rigid.reporting import CountDone, Say
from rigid.stream.face_stream import Tracker

SHEET_FRAMES, SHEET_EVERY = 8, 3
SHEET_VERSION = 3
"""It is raised whenever a sign or a cell's picture changes its meaning; cells of another version are made anew."""


@dataclass(frozen=True)
class SheetJob:
    """What is asked for."""

    videos: Path
    out: Path
    edits: Sequence[tuple[str, float]]
    """The columns: attributes, each at a strength."""
    frames: int = SHEET_FRAMES
    """Neighbouring frames of each clip."""
    every: int = SHEET_EVERY
    """Seams, double edges and half edits are looked for in every so many of them, the last one among these."""
    split: str | None = None
    names: Sequence[str] = ()
    composite: CompositeKind = "change"
    judged: Path | None = None
    """A CSV file of what the eye says: clip, edit, faulty."""

    def check(self) -> list[Clip]:
        """The clips; ValueError, one sentence, when the job cannot be as it is."""
        check_out(self.out)
        if len(set(self.edits)) < len(self.edits) or not all(strength for _, strength in self.edits):
            raise ValueError("A sheet has a column for each edit: give every --set once, with a strength other than 0.")
        if self.judged is not None:
            read_judged(self.judged)
        return find_clips(self.videos, self.split, self.names)


@dataclass(frozen=True)
class SheetTools:
    """What a sheet is made with; each part may be stood in for."""

    runtime: Runtime
    library: AttributeLibrary
    make_tracker: Callable[[], Tracker]
    """A tracker for each clip; closed after it."""
    facts: Mapping[str, object]
    """What, besides the job, cells depend on: profile, engine, weights."""
    say: Say = print


def all_edits(library: AttributeLibrary) -> list[tuple[str, float]]:
    """List every attribute at the most of its range, and at the least where that is below 0."""
    strengths = [(attribute, limit) for attribute in library for limit in (attribute.max, attribute.min)]
    return [(attribute.name, limit) for attribute, limit in strengths if limit]


def make_sheet(job: SheetJob, tools: SheetTools, command: str, progress: CountDone = lambda done: None) -> Sheet:
    """Do the job and write `sheet.json`, `sheet.md` and the `pages` to `job.out`.

    Cells that were made under the same options before are taken from there. `progress` takes the cells done.
    ValueError when no clip can be used.
    """
    clips = job.check()
    (job.out / "cells").mkdir(parents=True, exist_ok=True)
    sheet, pictures = Sheet(), dict[tuple[str, str], Path]()
    maker = _Maker(job, tools)
    for number, clip in enumerate(clips):
        try:
            for count, (row, picture) in enumerate(maker.cells(clip), 1):
                sheet.rows.append(row)
                pictures[row.clip, row.edit] = picture
                progress(number * len(job.edits) + count)
        except (VideoError, Unusable) as error:
            sheet.skipped[clip.name] = str(error)
            tools.say(f"{clip.name} is left out: {str(error).rstrip('.')}.")
    if not sheet.rows:
        reasons = "; ".join(f"{clip}: {reason}" for clip, reason in sheet.skipped.items())
        raise ValueError(f"No video in {job.videos} could be used ({reasons}); give clips that show a face.")
    _write(job, tools, sheet, pictures, command)
    return sheet


class _Maker:
    """Makes the cells of a clip, or takes them from where they were kept."""

    def __init__(self, job: SheetJob, tools: SheetTools) -> None:
        self._job, self._tools = job, tools

    def cells(self, clip: Clip) -> Iterable[tuple[Row, Path]]:
        """Each edit's row and its picture's file; VideoError or Unusable where there is nothing to make them of."""
        take: Take | None = None
        for name, strength in self._job.edits:
            path = self._job.out / "cells" / f"{clip.name}--{edit_name(name, strength)}.png"
            named = hash_of({**self._options(clip), "edit": [name, strength], "attribute": self._digest(name)})
            row = _load(path, named, clip.name, edit_name(name, strength))
            if row is None:
                take = take or self._take(clip)
                row = self._make(take, name, strength, path)
                write_json(path.with_suffix(".json"), without_nan({"hash": named, **row.describe()}))
            yield row, path

    def _take(self, clip: Clip) -> Take:
        size = self._tools.runtime.sizes.image_size
        take = take_from(clip, self._tools.make_tracker, self._job.frames, size)
        if take is None:
            raise Unusable(f"its middle {self._job.frames} frames do not all show a face")
        return take

    def _make(self, take: Take, name: str, strength: float, path: Path) -> Row:
        tools, job = self._tools, self._job
        cell = make_cell(take, tools.runtime, tools.library, {name: strength}, job.composite, job.every)
        write_image(path, draw_cell(cell))
        return Row(take.name, edit_name(name, strength), cell.signs, cell.warp_ratio)

    def _digest(self, name: str) -> str:
        return self._tools.library[name].digest

    def _options(self, clip: Clip) -> dict[str, object]:
        job = self._job
        own = {"frames": job.frames, "every": job.every, "composite": job.composite, "clip": file_stamp(clip)}
        return {**self._tools.facts, **own, "sheet": SHEET_VERSION}


def _load(path: Path, named: str, clip: str, edit: str) -> Row | None:
    """The cell in `path` if it was made under the options `named`."""
    try:
        kept = json.loads(path.with_suffix(".json").read_text("utf-8"))
        if kept["hash"] != named or not path.is_file():
            return None
        seam, double = (to_number(kept["signs"][name]) for name in ("seam", "double_edges"))
        parts = ({k: to_number(v) for k, v in kept[part].items()} for part in ("shares", "flickers"))
        return Row(clip, edit, Signs(seam, double, *parts), to_number(kept["warp_ratio"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # missing, or not what this program wrote


def _write(
    job: SheetJob, tools: SheetTools, sheet: Sheet, pictures: Mapping[tuple[str, str], Path], command: str
) -> None:
    pages = job.out / "pages"
    pages.mkdir(exist_ok=True)
    edits = [edit_name(*one) for one in job.edits]
    for edit in edits:
        cells = [(row.caption, read_image(pictures[row.clip, edit])[0]) for row in sheet.of_edit(edit)]
        for number, page in enumerate(draw_pages(edit, cells), 1):
            write_image(pages / f"{edit}-{number}.png", page)
    judged = None if job.judged is None else agreement(sheet, read_judged(job.judged))
    facts = {**tools.facts, "frames": job.frames, "every": job.every, "composite": job.composite}
    write_json(job.out / "sheet.json", without_nan(describe_sheet(sheet, edits, facts, judged, command)))
    write_text(job.out / "sheet.md", draw_table(sheet, edits, judged, command))
