"""Edit a film: every frame at its own time, with all that the file holds beside its pictures."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import av

from rigid.files.badge import Badge
from rigid.files.edit_job import EditJob
from rigid.files.edit_report import EditReport, Progress
from rigid.files.encoding_thread import EncodingThread
from rigid.files.image_formats import is_image
from rigid.files.image_metadata import Metadata
from rigid.files.image_reading import read_images
from rigid.files.image_writing import write_images
from rigid.files.journal import Checkpoint, Journal
from rigid.files.read_ahead import read_ahead
from rigid.files.timeline import Timeline
from rigid.files.video_reader import Picture, VideoError, VideoReader
from rigid.files.video_writer import VideoWriter, open_writer
from rigid.stream.group_stream import AnyStream
from rigid.stream.pipeline import Step, overlapped

Item: TypeAlias = "Picture | av.Packet[Any]"

CHECKPOINT = 300
"""Frames after which an interrupted film can be gone on with."""
READ_AHEAD = 4
"""Frames that are decoded before the stream takes them."""


def edit_video(
    job: EditJob, make_stream: Callable[[], AnyStream], profile: str, progress: Progress, final: Path
) -> EditReport:
    """Do `job`, whose output is a film that will be called `final`; see `rigid.files.edit.edit_file`."""
    with _as_film(job.source) as film, VideoReader(film, for_writing=True) as reader:
        _require_a_frame(film)
        stream = make_stream()
        try:
            report = EditReport(profile, stream.runtime.name)
            start = time.perf_counter()
            journal = Journal(final, _film_key(job, stream, profile))
            _edit_frames(job, reader, stream, report, progress, journal)
            journal.discard()
            report.seconds = time.perf_counter() - start
        finally:
            stream.close()
    if reader.damaged:
        report.notes.append(f"{reader.damaged} damaged part(s) of {job.source} were left out.")
    if reader.missing:
        report.notes.append(f"{job.source} is damaged: {reader.missing} frame(s) that it announces are missing.")
    return report


@contextmanager
def _as_film(source: Path) -> Iterator[Path]:
    """A file that FFmpeg reads as a film: the source itself, or, of an animation, a lossless one that it knows."""
    if not is_image(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="rigid-live-") as folder:
        film = Path(folder) / "animation.png"
        file = read_images(source)
        stills = [replace(one, colours=file.show_as_srgb(one)) for one in file.stills]
        write_images(film, replace(file, stills=stills, profile=None, metadata=Metadata()))
        yield film


def _require_a_frame(source: Path) -> None:
    """VideoError when no frame can be decoded, told before an engine is loaded and an output begun."""
    with VideoReader(source) as reader:
        if not any(isinstance(item, Picture) for item in reader):
            raise VideoError(f"{source} holds no frame that can be decoded; give a file that plays.")


def _film_key(job: EditJob, stream: AnyStream, profile: str) -> dict[str, object]:
    """What makes a film what it is: an earlier run with the same may be gone on with."""
    status = job.source.stat()
    edits = dict(job.edits), [[entry.seconds, entry.name, entry.strength] for entry in job.schedule]
    how = (
        job.compare,
        job.strip_metadata,
        job.badge,
        profile,
        stream.runtime.name,
        stream.options.composite,
        str(stream.choice),
    )
    return {"source": [status.st_size, status.st_mtime_ns], "edits": edits, "how": how, "encoder": av.__version__}


def _edit_frames(
    job: EditJob, reader: VideoReader, stream: AnyStream, report: EditReport, progress: Progress, journal: Journal
) -> None:
    timeline = Timeline(job.edits, job.schedule)
    read: deque[Item] = deque()
    options = {"compare": job.compare, "strip_metadata": job.strip_metadata}
    # Decoding and encoding have threads of their own, which are waited for before the stream is closed.
    with (
        open_writer(job.target, reader, journal=journal, **options) as writer,
        EncodingThread(writer, report, Badge(job.badge)) as encoding,
        read_ahead(_steps(reader, read, timeline), READ_AHEAD) as steps,
    ):
        if journal.begun is not None:
            _go_on(journal, journal.begun, stream, report, writer, read, steps)
        more = True
        while more:
            more = False
            with closing(overlapped(stream, islice(steps, CHECKPOINT))) as results:
                for result in results:
                    encoding.add(*_until_picture(read), result)
                    progress(report.frames, reader.frame_estimate)
                    more = report.frames % CHECKPOINT == 0
            if more:
                encoding.wait()
                if writer.can_stop:
                    writer.stop()
                    journal.checkpoint(report.frames, stream.save(), report.save())
        encoding.wait()
        for packet in read:
            assert not isinstance(packet, Picture)
            writer.write_packet(packet)
    report.notes += writer.notes
    for entry in timeline.unreached:
        report.warnings.append(f"The clip ends before {entry.seconds:g} s, where {entry.name} was to change.")


def _go_on(
    journal: Journal,
    begun: Checkpoint,
    stream: AnyStream,
    report: EditReport,
    writer: VideoWriter,
    read: deque[Item],
    steps: Iterator[Step],
) -> None:
    """Pass over what an earlier run has done."""
    for _ in islice(steps, begun.frames):
        packets, picture = _until_picture(read)
        for packet in packets:
            writer.write_packet(packet)
        writer.replay(picture)
    writer.finish_replay()
    stream.restore(journal.stream_state())
    report.take_up(begun.report)
    report.notes.append(f"An earlier run had done {begun.frames} frames; this one went on from there.")


def _steps(reader: VideoReader, read: deque[Item], timeline: Timeline) -> Iterator[Step]:
    """The clip's frames for the stream; everything that was read is left in `read`."""
    origin: int | None = None
    for item in reader:
        read.append(item)
        if isinstance(item, Picture):
            origin = item.pts if origin is None else origin
            seconds = float((item.pts - origin) * reader.time_base)
            yield Step(item.image, timeline.at(seconds), seconds)


def _until_picture(read: deque[Item]) -> tuple[list[av.Packet[Any]], Picture]:
    """The packets of other tracks that come before the next picture, and it."""
    packets: list[av.Packet[Any]] = []
    while not isinstance(item := read.popleft(), Picture):
        packets.append(item)
    return packets, item
