"""Edit a whole file: a video with its sound and its own frame times, or a still image."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np

from rigid.arrays import Pixels, Region
from rigid.atomic_files import replacing
from rigid.edits.ramp import EditRamp
from rigid.files.badge import Badge
from rigid.files.film_formats import VIDEO_SUFFIXES
from rigid.files.image_colours import carry_change
from rigid.files.image_formats import IMAGE_FORMATS, IMAGE_SUFFIXES, check_size
from rigid.files.image_metadata import Metadata
from rigid.files.images import ImageFile, Still, is_image, look_at_image, read_images, write_images
from rigid.files.journal import Checkpoint, Journal
from rigid.files.provenance import Signing, mark_file
from rigid.files.read_ahead import read_ahead
from rigid.files.video_reader import Picture, VideoError, VideoReader
from rigid.files.video_writer import FORMATS, VideoWriter, open_writer
from rigid.stream.face_stream import FaceStream, StepResult
from rigid.stream.pipeline import Step, overlapped

Item: TypeAlias = "Picture | av.Packet[Any]"
Progress = Callable[[int, int | None], None]
"""Takes the frames done and the frames there probably are, None where that is not known."""

RAMP_SECONDS = 0.4
"""How long a scheduled edit takes to reach its strength."""
SECONDS_BETWEEN_PAGES = 10.0
"""More than a stream goes on over: each page is a picture of its own."""
CHECKPOINT = 300
"""Frames after which an interrupted film can be gone on with."""
READ_AHEAD = 4
"""Frames that are decoded before the stream takes them, and that wait to be encoded."""
STAGES = ("decode", "align", "invert", "synthesize", "parse", "blend", "encode")


@dataclass(frozen=True)
class ScheduledEdit:
    """An attribute that starts to change at a time of the clip."""

    seconds: float
    """From the clip's first frame."""
    name: str
    strength: float


@dataclass(frozen=True)
class EditJob:
    """What is asked for. `check` it before anything slow is loaded."""

    source: Path
    target: Path
    edits: Mapping[str, float]
    """Strengths from the first frame on."""
    schedule: Sequence[ScheduledEdit] = ()
    compare: bool = False
    """Show the input on the left of the output."""
    strip_metadata: bool = False
    """Leave out what the file says of itself: place, time, camera, title; colours and orientation stay right."""

    badge: bool = False
    """Write “Edited with AI” into every picture that is edited."""
    signing: Signing | None = None
    """What an edited result is signed with; None leaves it without a word of where it comes from."""

    @property
    def as_image(self) -> bool:
        """Whether the output is a still image or an animation, not a video."""
        return self._from_image and self.target.suffix.lower() not in FORMATS

    @property
    def _from_image(self) -> bool:
        """Whether the input is an image, by its name; where that says nothing, it is what the output is to be."""
        suffix = self.source.suffix.lower()
        unknown = suffix not in IMAGE_SUFFIXES and suffix not in VIDEO_SUFFIXES
        return is_image(self.source) or (unknown and self.target.suffix.lower() in IMAGE_FORMATS)

    def check(self) -> None:
        """ValueError, one sentence, when input and output cannot be as they are given."""
        _check_source(self.source)
        if self.target.exists() and self.target.samefile(self.source):
            raise ValueError(f"The output {self.target} is the input itself; give another name.")
        suffix, image = self.target.suffix.lower(), self._from_image
        # an animation may become a video
        known = tuple(IMAGE_FORMATS) if image and suffix not in FORMATS else tuple(FORMATS)
        if suffix not in known:
            kind = "an image" if image else "a video"
            raise ValueError(
                f"The output {self.target.name} must have an extension for {kind}; choose one of: {', '.join(known)}."
            )
        check_folder(self.target)
        if image:
            self._check_image()

    def _check_image(self) -> None:
        width, height, moving = look_at_image(self.source)
        if moving:
            if self.as_image:
                check_size(self.target, width * (1 + self.compare), height)
            return
        if not self.as_image:
            raise ValueError(
                f"The output {self.target.name} must have an extension for an image; choose one of: "
                f"{', '.join(IMAGE_FORMATS)}."
            )
        if self.schedule:
            raise ValueError(f"{self.source} is a still image, where no edit can start later; use --set alone.")
        check_size(self.target, width * (1 + self.compare), height)


@dataclass
class EditReport:
    """What was done."""

    profile: str
    engine: str
    frames: int = 0
    face_frames: int = 0
    edited_frames: int = 0
    failed_frames: int = 0
    """Frames that passed unedited because something failed."""
    seconds: float = 0.0
    """What the whole job took, loading the engine left out."""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What of the input could not be kept as it was, one sentence each."""
    stages: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    """Milliseconds of every frame that went through a stage."""

    def as_json(self) -> dict[str, object]:
        """The report as `--report` writes it; `stage_ms` are medians, 0 for a stage that never ran."""
        return {
            "frames": self.frames,
            "face_frames": self.face_frames,
            "edited_frames": self.edited_frames,
            "failed_frames": self.failed_frames,
            "seconds": round(self.seconds, 3),
            "fps": round(self.frames / self.seconds, 3) if self.seconds else 0.0,
            "profile": self.profile,
            "engine": self.engine,
            "stage_ms": {s: round(statistics.median(times), 3) if times else 0.0 for s, times in self.stages.items()},
            "warnings": self.warnings,
            "notes": self.notes,
        }

    def counts(self) -> dict[str, Any]:
        """What another run needs to go on counting."""
        return {name: getattr(self, name) for name in ("frames", "face_frames", "edited_frames", "failed_frames")}

    def take_up(self, counts: Mapping[str, Any]) -> None:
        """Go on from what `counts` of another run told."""
        for name, count in counts.items():
            setattr(self, name, int(count))

    def add(self, result: StepResult) -> None:
        """Count one frame."""
        self.frames += 1
        self.face_frames += result.face
        self.edited_frames += result.edited
        self.failed_frames += result.error is not None
        if result.error is not None and self.failed_frames == 1:
            self.warnings.append(f"Frame {self.frames} could not be edited: {result.error}.")
        for stage, milliseconds in result.stage_ms.items():
            self.stages[stage].append(milliseconds)


def edit_file(
    job: EditJob, make_stream: Callable[[], FaceStream], profile: str, progress: Progress | None = None
) -> EditReport:
    """Do `job` with a stream from `make_stream`, which is called once the input is known to be readable.

    Raises ValueError for an input or output that cannot be, OSError when the output cannot be written; the
    output is then as it was before.
    """
    job.check()
    edit = _edit_image if job.as_image else partial(_edit_video, final=job.target)
    with replacing(job.target) as part:
        report = edit(replace(job, target=part), make_stream, profile, progress or (lambda done, total: None))
        if job.signing is not None and report.edited_frames:
            _sign(job, job.signing, part, report)
    if not any(job.edits.values()) and not job.schedule:
        report.warnings.append("No edit was asked for, so the output shows the input; use --set NAME=STRENGTH.")
    if not report.face_frames and not report.failed_frames:
        report.warnings.append(f"No face was found in {job.source}; the output shows it unedited.")
    return report


def _sign(job: EditJob, signing: Signing, made: Path, report: EditReport) -> None:
    """Put into `made` that AI edited it, what it was made from, and who says so; a note where that cannot be."""
    edits = dict(job.edits)
    for entry in job.schedule:
        edits[entry.name] = max(entry.strength, edits.get(entry.name, 0.0), key=abs)
    note = mark_file(made, signing, edits, job.source)
    if note:
        report.notes.append(note)


def write_report(path: Path, report: EditReport) -> None:
    """Write `report` as JSON, whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")


def check_folder(path: Path) -> None:
    """ValueError when the folder that `path` is to be written to is not there, or `path` is itself a folder."""
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} to write {path.name} to; create it first.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file.")


def parse_edit(text: str) -> tuple[str, float]:
    """`smile=0.8` as ("smile", 0.8); ValueError when it is not of that form."""
    name, separator, value = text.partition("=")
    try:
        strength = float(value)
    except ValueError:
        strength = math.nan
    if not separator or not name.strip() or not math.isfinite(strength):
        raise ValueError(f"{text!r} is not an edit; write NAME=STRENGTH, such as smile=0.8.")
    return name.strip(), strength


def parse_scheduled(text: str) -> ScheduledEdit:
    """`2.5:age=1` as the edit `age=1` from 2.5 seconds on; ValueError when it is not of that form."""
    start, separator, edit = text.partition(":")
    try:
        seconds = float(start)
    except ValueError:
        seconds = math.nan
    if not separator or not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{text!r} is not a timed edit; write SECONDS:NAME=STRENGTH, such as 2.5:age=1.")
    return ScheduledEdit(seconds, *parse_edit(edit))


class Timeline:
    """The strengths at each time of a clip: the edits from the start, and the scheduled ones as they come."""

    def __init__(self, edits: Mapping[str, float], schedule: Sequence[ScheduledEdit]) -> None:
        self._ramp = EditRamp()
        self._ramp.set(edits, 0.0, 0.0)
        self._waiting = sorted(schedule, key=lambda entry: entry.seconds)

    def at(self, seconds: float) -> dict[str, float]:
        """The strengths at `seconds`, which must not fall from call to call."""
        while self._waiting and self._waiting[0].seconds <= seconds:
            entry = self._waiting.pop(0)
            # what is set at the very start has nothing to glide from
            ramp_seconds = RAMP_SECONDS if entry.seconds > 0 else 0.0
            self._ramp.set({entry.name: entry.strength}, ramp_seconds, entry.seconds)
        return self._ramp.at(seconds)

    @property
    def unreached(self) -> list[ScheduledEdit]:
        """Scheduled edits whose time has not come yet."""
        return self._waiting


def _check_source(source: Path) -> None:
    if source.is_dir():
        raise ValueError(f"{source} is a folder; give a video or image file.")
    if not source.exists():
        raise ValueError(f"There is no file {source}; check the name.")


def _edit_image(job: EditJob, make_stream: Callable[[], FaceStream], profile: str, progress: Progress) -> EditReport:
    start = time.perf_counter()
    file = read_images(job.source)
    if job.strip_metadata:
        file = replace(file, metadata=Metadata(resolution=file.metadata.resolution))
    decode_ms = (time.perf_counter() - start) * 1e3
    stream = make_stream()
    report = EditReport(profile, stream.runtime.name, notes=list(file.notes))
    start = time.perf_counter()
    badge = Badge(job.badge)
    made: list[Still] = []
    touched: list[Region] = []
    try:
        with closing(overlapped(stream, _still_steps(job, file))) as results:
            for still, result in zip(file.stills, results, strict=True):
                report.add(result)
                shown, mask = _apply_to_still(file, still, _add_badge(badge, result), job.compare)
                made.append(shown)
                touched.append(mask)
                progress(report.frames, len(file.stills))
    finally:
        stream.close()
    written = time.perf_counter()
    report.notes += write_images(job.target, replace(file, stills=made), touched)
    report.stages["decode"].append(decode_ms / len(made))
    report.stages["encode"].append((time.perf_counter() - written) * 1e3 / len(made))
    report.seconds = decode_ms / 1e3 + time.perf_counter() - start
    return report


def _add_badge(badge: Badge, result: StepResult) -> Pixels:
    return badge.stamp(result.frame) if result.edited else result.frame


def _still_steps(job: EditJob, file: ImageFile) -> Iterator[Step]:
    """The pictures for the stream: an animation at its times, pages as if one had nothing to do with the next."""
    timeline, seconds = Timeline(job.edits, job.schedule), 0.0
    for still in file.stills:
        yield Step(file.show_as_srgb(still), timeline.at(seconds), seconds)
        seconds += still.milliseconds / 1e3 if file.moving else SECONDS_BETWEEN_PAGES


def _apply_to_still(file: ImageFile, still: Still, shown: Pixels, compare: bool) -> tuple[Still, Region]:
    """`still` with what the stream showed of it, and where it differs."""
    seen = file.show_as_srgb(still)
    touched = (seen != shown).any(2)
    colours, alpha = carry_change(still.colours, seen, shown, file.profile), still.alpha
    if compare:
        colours, touched = _beside(still.colours, colours), np.hstack([np.zeros_like(touched), touched])
        alpha = None if alpha is None else np.hstack([alpha, alpha])
    return replace(still, colours=colours, alpha=alpha), touched


def _edit_video(
    job: EditJob, make_stream: Callable[[], FaceStream], profile: str, progress: Progress, final: Path
) -> EditReport:
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


def _film_key(job: EditJob, stream: FaceStream, profile: str) -> dict[str, object]:
    """What makes a film what it is: an earlier run with the same may be gone on with."""
    status = job.source.stat()
    edits = dict(job.edits), [[entry.seconds, entry.name, entry.strength] for entry in job.schedule]
    how = job.compare, job.strip_metadata, job.badge, profile, stream.runtime.name, stream.options.composite
    return {"source": [status.st_size, status.st_mtime_ns], "edits": edits, "how": how, "encoder": av.__version__}


def _edit_frames(
    job: EditJob, reader: VideoReader, stream: FaceStream, report: EditReport, progress: Progress, journal: Journal
) -> None:
    timeline = Timeline(job.edits, job.schedule)
    read: deque[Item] = deque()
    options = {"compare": job.compare, "strip_metadata": job.strip_metadata}
    # Decoding and encoding have threads of their own, which are waited for before the stream is closed.
    with (
        open_writer(job.target, reader, journal=journal, **options) as writer,
        _Encoding(writer, report, Badge(job.badge)) as encoding,
        read_ahead(_steps(reader, read, timeline), READ_AHEAD) as steps,
    ):
        if journal.begun is not None:
            _go_on(journal, journal.begun, stream, report, writer, read, steps)
        more = True
        while more:
            more = False
            with closing(overlapped(stream, islice(steps, CHECKPOINT))) as results:
                for result in results:
                    packets, item = _until_picture(read)
                    encoding.add(packets, item, result)
                    progress(report.frames, reader.frame_estimate)
                    more = report.frames % CHECKPOINT == 0
            if more:
                encoding.wait()
                if writer.can_stop:
                    writer.stop()
                    journal.checkpoint(report.frames, stream.save(), report.counts())
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
    stream: FaceStream,
    report: EditReport,
    writer: VideoWriter,
    read: deque[Item],
    steps: Iterator[Step],
) -> None:
    """Pass over what an earlier run has done."""
    for _ in islice(steps, begun.frames):
        packets, item = _until_picture(read)
        for packet in packets:
            writer.write_packet(packet)
        writer.replay(item)
    writer.finish_replay()
    stream.restore(journal.stream_state())
    report.take_up(begun.report)
    report.notes.append(f"An earlier run had done {begun.frames} frames; this one went on from there.")


class _Encoding:
    """Writes what is done, in order, on a thread of its own, a few frames behind."""

    def __init__(self, writer: VideoWriter, report: EditReport, badge: Badge) -> None:
        self._writer, self._report, self._badge = writer, report, badge
        self._thread = ThreadPoolExecutor(1, "encode")
        self._waiting: deque[Future[float]] = deque()

    def __enter__(self) -> _Encoding:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def add(self, packets: list[av.Packet[Any]], picture: Picture, result: StepResult) -> None:
        """Write the packets that come before a picture, and what became of it; waits where too many wait already."""
        self._report.add(result)
        self._report.stages["decode"].append(picture.decode_ms)
        self._waiting.append(self._thread.submit(self._write, packets, picture, result))
        while len(self._waiting) > READ_AHEAD:
            self._report.stages["encode"].append(self._waiting.popleft().result())

    def wait(self) -> None:
        """Until all is written; raises what went wrong."""
        while self._waiting:
            self._report.stages["encode"].append(self._waiting.popleft().result())

    def _write(self, packets: list[av.Packet[Any]], picture: Picture, result: StepResult) -> float:
        for packet in packets:
            self._writer.write_packet(packet)
        return self._writer.write(_add_badge(self._badge, result), picture)


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


def _beside(before: Pixels, after: Pixels) -> Pixels:
    return np.hstack([before, after])
