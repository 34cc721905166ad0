"""`rigid-live edit`: edit a video or image file."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.choices import C2paCertificate, C2paKey, Composite, Engine, NoSign, Profile, choose_signing
from cli.errors import BAD_INPUT, FAILED, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from rigid.files.batch import BatchReport, Report, Settings, Through
    from rigid.files.edit_job import EditJob
    from rigid.files.edit_report import EditReport, Progress
    from rigid.files.timeline import ScheduledEdit
    from rigid.models.contract import Runtime
    from rigid.stream.face_stream import FaceStream

Source = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        help="The video or image to edit; or many: a folder, or a .txt file with a name on each line.",
    ),
]
Target = Annotated[
    Path,
    typer.Argument(metavar="OUTPUT", help="Where the result goes; its extension says how. For many inputs, a folder."),
]
Edits = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=STRENGTH", help="An edit, such as smile=0.8; may be repeated."),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A set of edits to begin with; `attributes presets` lists them. --set goes on top."
    ),
]
Scheduled = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="SECONDS:NAME=STRENGTH",
        help="An edit that starts at a time, such as 2.5:age=1, and is whole 0.4 s later; may be repeated.",
    ),
]
Compare = Annotated[bool, typer.Option("--compare", help="Show the input beside the result.")]
Strip = Annotated[
    bool,
    typer.Option("--strip-metadata", help="Leave out what the file says of place, time, camera, title and the like."),
]
WithBadge = Annotated[bool, typer.Option("--badge", help="Write “Edited with AI” into every picture that is edited.")]
ReportFile = Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write counts, speed and stage times here.")]
Blend = Annotated[
    Composite,
    typer.Option(
        help="change shows the edited face where the edit changed it and the real one elsewhere; paper pastes it whole."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Files at a time, where there are many; one for each core by default."),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS]",
        help="Where there are many files, edit them on the Ray cluster at HOST:PORT, without an address on that of "
        "this machine; they must be at the same place on every node.",
    ),
]
WorkerCpus = Annotated[float, typer.Option(metavar="N", help="With --cluster: processors for each file at a time.")]

MOST_NAMED = 20
"""Files left out that are named on the terminal."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("edit")(edit)


def edit(
    source: Source,
    target: Target,
    set_: Edits = None,
    preset: Preset = None,
    at: Scheduled = None,
    compare: Compare = False,
    strip_metadata: Strip = False,
    badge: WithBadge = False,
    no_sign: NoSign = False,
    c2pa_certificate: C2paCertificate = None,
    c2pa_key: C2paKey = None,
    report: ReportFile = None,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    composite: Blend = "change",
    jobs: Jobs = None,
    cluster: Cluster = None,
    worker_cpus: WorkerCpus = 2.0,
) -> None:
    """Edit the face in a video or image; sound and frame times are kept.

    Of a folder or a list, every file is edited. The same command goes on where it was stopped.
    """
    from rigid.atomic_files import check_folder, write_json
    from rigid.files.batch import is_batch
    from rigid.files.edit import edit_file
    from rigid.files.edit_job import EditJob
    from rigid.files.journal import name_unfinished

    edits = _with_preset(preset, set_ or [], profile)
    how = partial(_how, compare, strip_metadata, badge, no_sign, c2pa_certificate, c2pa_key)
    if is_batch(source):
        share = None if cluster is None else (cluster, worker_cpus)
        _edit_many(source, target, edits, at or [], how, report, profile, engine, composite, jobs, share)
        return
    if cluster is not None:
        fail(f"{source} is one file; --cluster is for a folder or a list of them.", BAD_INPUT)
    try:
        job = EditJob(source, target, *_edits(edits, at or [], profile), compare)
        job.check()
        job = replace(job, **how())
        if report is not None:
            check_folder(report)
        with ExitStack() as resources:
            make_stream = partial(_make_stream, resources, profile, engine, composite)
            done = edit_file(job, make_stream, profile, _progress(resources, source))
        if report is not None:
            write_json(report, done.as_json())
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except OSError as error:
        fail(f"{target} could not be written: {error.strerror or error}.", FAILED)
    except KeyboardInterrupt:
        if name_unfinished(target).is_dir():
            typer.echo(f"Stopped; the same command goes on where {source} was.", err=True)
        raise
    _summarise(target, done)


def _how(
    compare: bool, strip_metadata: bool, badge: bool, no_sign: bool, certificate: Path | None, key: Path | None
) -> dict[str, Any]:
    """What is the same for every file, as `EditJob` and `Settings` name it; ValueError where it cannot be."""
    signing = choose_signing(no_sign, certificate, key)
    return {"compare": compare, "strip_metadata": strip_metadata, "badge": badge, "signing": signing}


def _edits(edits: list[str], schedule: list[str], profile: str) -> tuple[dict[str, float], list[ScheduledEdit]]:
    """The edits from the start and the later ones, checked; ValueError says what is wrong."""
    from rigid.edits.library import load_library
    from rigid.files.timeline import parse_edit, parse_scheduled

    library = load_library(profile)
    timed = [parse_scheduled(text) for text in schedule]
    strengths = library.validate(dict(map(parse_edit, edits)))
    for said in library.warnings(strengths):
        typer.echo(f"Warning: {said}", err=True)
    for entry in timed:
        for said in library.warnings(library.validate({entry.name: entry.strength})):
            typer.echo(f"Warning: {said}", err=True)
    return strengths, timed


def _with_preset(preset: str | None, edits: list[str], profile: str) -> list[str]:
    """The edits of a preset, then those that go on top of it."""
    if preset is None:
        return edits
    from rigid.edits.library import load_library
    from rigid.edits.presets import PresetStore, own_folder

    try:
        chosen = PresetStore(load_library(profile), own_folder())[preset]
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    return [*(f"{name}={strength!r}" for name, strength in chosen.edits.items()), *edits]


def _make_stream(resources: ExitStack, profile: str, engine: str, composite: Composite) -> FaceStream:
    """A stream on the engine; `resources` closes what it runs on."""
    runtime = _load(profile, engine, None)
    resources.callback(runtime.close)
    return _stream_on(runtime, profile, composite)


def _load(profile: str, engine: str, threads: int | None) -> Runtime:
    """The engine with its networks, which are exported first where they are not yet."""
    from engines import load_runtime
    from engines.exports import is_exported
    from rigid.assets.store import AssetStore

    store = AssetStore()
    if engine != "torch" and not is_exported(profile, store):
        # it brings PyTorch and the exporter, for two seconds
        from export import ensure_exported

        ensure_exported(profile, store, lambda line: typer.echo(line, err=True))
    return load_runtime(profile, engine, store=store, threads=threads)


def _stream_on(runtime: Runtime, profile: str, composite: Composite) -> FaceStream:
    from rigid.assets.store import AssetStore
    from rigid.edits.library import load_library
    from rigid.face.alignment import FaceLandmarker, FaceTracker
    from rigid.stream.face_stream import FaceStream, StreamOptions

    landmarker = FaceLandmarker(AssetStore().file("face-landmarks", "face_landmarker.task"))
    tracker = FaceTracker(landmarker, runtime.sizes.image_size)
    return FaceStream(runtime, tracker, load_library(profile), StreamOptions(composite))


def _edit_many(
    source: Path,
    target: Path,
    edits: list[str],
    schedule: list[str],
    how: Callable[[], dict[str, Any]],
    report: Path | None,
    profile: str,
    engine: str,
    composite: Composite,
    jobs: int | None,
    share: tuple[str, float] | None,
) -> None:
    from engines.machine import cores
    from rigid.atomic_files import check_folder, write_json
    from rigid.files.batch import RECORD, Settings, edit_files, find_left_out, plan
    from rigid.progress import show_progress

    if share is not None:
        # as every node is to name them
        source, target = source.absolute(), target.absolute()
    try:
        files = plan(source, target)
        settings = Settings(*_edits(edits, schedule, profile), profile=profile, composite=composite, **how())
        if report is not None:
            check_folder(report)
        processes = min(jobs or cores(), len(files))
        threads = max(1, cores() // processes)
        if share is not None:
            threads = max(1, int(share[1]))
        else:
            # what is the same for every file fails here, once; and `auto` measures here, alone on the machine
            _load(profile, engine, threads).close()
        through = None if share is None else _on_cluster(*share)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    open_worker = partial(_open_worker, settings, engine, threads)
    with show_progress(f"Editing {len(files)} files", len(files), "files") as progress:
        done = edit_files(files, settings, open_worker, processes, target / RECORD, progress, through)
    done.left_out = find_left_out(source, target)
    if report is not None:
        write_json(report, done.as_json())
    _summarise_many(target, done)


def _on_cluster(address: str, cpus: float) -> Through:
    from cli.cluster import batch_on

    return batch_on(address, cpus)


def _open_worker(settings: Settings, engine: str, threads: int) -> Callable[[EditJob], Report]:
    """One process of a batch: loads the engine once, for all the files that it will do."""
    import cv2

    from rigid.files.edit import edit_file

    cv2.setNumThreads(threads)
    runtime = _load(settings.profile, engine, threads)

    def work(job: EditJob) -> Report:
        make_stream = partial(_stream_on, runtime, settings.profile, settings.composite)
        return edit_file(job, make_stream, settings.profile).as_json()

    return work


def _progress(resources: ExitStack, source: Path) -> Progress:
    """Shows frames done; the display begins with the first, when their number is known."""
    from rigid.progress import Update, show_progress

    shown: list[Update] = []

    def update(done: int, total: int | None) -> None:
        if not shown:
            shown.append(resources.enter_context(show_progress(f"Editing {source.name}", total, "frames")))
        shown[0](done)

    return update


def _summarise(target: Path, done: EditReport) -> None:
    for warning in done.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    for note in done.notes:
        typer.echo(f"Note: {note}", err=True)
    fps = done.frames / done.seconds if done.seconds else 0.0
    typer.echo(
        f"{target}: {done.frames} frames, {done.face_frames} with a face, in {done.seconds:.1f} s "
        f"({fps:.1f} a second, {done.engine})."
    )


def _summarise_many(target: Path, done: BatchReport) -> None:
    for source, entry in done.files.items():
        if entry["status"] == "failed":
            typer.echo(f"Failed: {source}: {entry['error']}", err=True)
        for warning in done.warnings(source):
            typer.echo(f"Warning: {source}: {warning}", err=True)
        for note in done.notes(source):
            typer.echo(f"Note: {source}: {note}", err=True)
    for path, why in list(done.left_out.items())[:MOST_NAMED]:
        typer.echo(f"Left out: {path}: {why}.", err=True)
    if len(done.left_out) > MOST_NAMED:
        typer.echo(f"Left out: {len(done.left_out) - MOST_NAMED} more files; --report names them all.", err=True)
    fps = done.frames / done.seconds if done.seconds else 0.0
    typer.echo(
        f"{target}: {done.count('done')} files done, {done.count('skipped')} as they were, {done.count('failed')} "
        f"failed; {done.frames} frames in {done.seconds:.1f} s ({fps:.1f} a second)."
    )
    if done.count("failed"):
        raise typer.Exit(FAILED)
