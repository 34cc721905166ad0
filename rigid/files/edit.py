"""Edit a whole file: a video with its sound and its own frame times, or a still image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from rigid.atomic_files import replacing
from rigid.edits.face_edits import part_name
from rigid.files.edit_image import edit_image
from rigid.files.edit_job import EditJob
from rigid.files.edit_report import EditReport, Progress
from rigid.files.edit_video import edit_video
from rigid.files.provenance import Signing, mark_file
from rigid.stream.group_stream import AnyStream


def edit_file(
    job: EditJob,
    make_stream: Callable[[], AnyStream],
    profile: str,
    progress: Progress = lambda done, total: None,
) -> EditReport:
    """Do `job` with a stream from `make_stream`, which is called once the input is known to be readable.

    Raises ValueError for an input or output that cannot be, OSError when the output cannot be written; the
    output is then as it was before.
    """
    job.check()
    edit = edit_image if job.as_image else partial(edit_video, final=job.target)
    with replacing(job.target) as part:
        report = edit(replace(job, target=part), make_stream, profile, progress)
        if job.signing is not None and report.edited_frames:
            _sign(job, job.signing, part, report)
    if not any(job.edits.values()) and not job.schedule:
        report.warnings.append("No edit was asked for, so the output shows the input; use --set NAME=STRENGTH.")
    if not report.face_frames and not report.failed_frames:
        report.warnings.append(f"No face was found in {job.source}; the output shows it unedited.")
    names = *job.edits, *(entry.name for entry in job.schedule)
    named = {number for number, _ in map(part_name, names) if number is not None}
    for number in sorted(named.difference(report.faces)):
        known = ", ".join(map(str, report.faces)) or "none"
        report.warnings.append(f"No face of {job.source} had the number {number}; those there were: {known}.")
    return report


def _sign(job: EditJob, signing: Signing, made: Path, report: EditReport) -> None:
    """Put into `made` that AI edited it, what it was made from, and who says so; a note where that cannot be."""
    edits = dict(job.edits)
    for entry in job.schedule:
        edits[entry.name] = max(entry.strength, edits.get(entry.name, 0.0), key=abs)
    note = mark_file(made, signing, edits, job.source)
    if note:
        report.notes.append(note)
