"""Edit a still image, several pages of it, or an animation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np

from rigid.arrays import Pixels, Region
from rigid.files.badge import Badge
from rigid.files.edit_job import EditJob
from rigid.files.edit_report import EditReport, Progress
from rigid.files.image_colours import carry_change
from rigid.files.image_file import ImageFile, Still
from rigid.files.image_metadata import Metadata
from rigid.files.image_reading import read_images
from rigid.files.image_writing import write_images
from rigid.files.timeline import Timeline
from rigid.stream.group_stream import AnyStream
from rigid.stream.pipeline import Step, overlapped

SECONDS_BETWEEN_PAGES = 10.0
"""More than a stream goes on over: each page is a picture of its own."""


def edit_image(job: EditJob, make_stream: Callable[[], AnyStream], profile: str, progress: Progress) -> EditReport:
    """Do `job`, whose output is an image; see `rigid.files.edit.edit_file`."""
    start = time.perf_counter()
    file = read_images(job.source)
    if job.strip_metadata:
        file = replace(file, metadata=Metadata(resolution=file.metadata.resolution))
    decode_ms = (time.perf_counter() - start) * 1e3
    stream = make_stream()
    report = EditReport(profile, stream.runtime.name, notes=list(file.notes))
    start = time.perf_counter()
    badge = Badge(job.badge)
    edited: list[Still] = []
    touched: list[Region] = []
    try:
        with closing(overlapped(stream, _steps(job, file))) as results:
            for still, result in zip(file.stills, results, strict=True):
                report.add(result)
                shown, mask = _apply(file, still, badge.stamp_edited(result), job.compare)
                edited.append(shown)
                touched.append(mask)
                progress(report.frames, len(file.stills))
    finally:
        stream.close()
    written = time.perf_counter()
    report.notes += write_images(job.target, replace(file, stills=edited), touched)
    report.stages["decode"].append(decode_ms / len(edited))
    report.stages["encode"].append((time.perf_counter() - written) * 1e3 / len(edited))
    report.seconds = decode_ms / 1e3 + time.perf_counter() - start
    return report


def _steps(job: EditJob, file: ImageFile) -> Iterator[Step]:
    """The pictures for the stream: an animation at its times, pages as if one had nothing to do with the next."""
    timeline = Timeline(job.edits, job.schedule)
    for picture, seconds in time_pictures(file):
        yield Step(picture, timeline.at(seconds), seconds)


def time_pictures(file: ImageFile) -> Iterator[tuple[Pixels, float]]:
    """The pictures as a stream is to see them, with their times in seconds."""
    seconds = 0.0
    for still in file.stills:
        yield file.show_as_srgb(still), seconds
        seconds += still.milliseconds / 1e3 if file.moving else SECONDS_BETWEEN_PAGES


def _apply(file: ImageFile, still: Still, shown: Pixels, compare: bool) -> tuple[Still, Region]:
    """`still` with what the stream showed of it, and where it differs."""
    seen = file.show_as_srgb(still)
    touched = (seen != shown).any(2)
    colours, alpha = carry_change(still.colours, seen, shown, file.profile), still.alpha
    if compare:
        colours = np.hstack([still.colours, colours])
        touched = np.hstack([np.zeros_like(touched), touched])
        alpha = None if alpha is None else np.hstack([alpha, alpha])
    return replace(still, colours=colours, alpha=alpha), touched
