"""`rigid-live edit`: edit a video or image file, or many."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli import edit_options as options
from cli.choices import C2paCertificate, C2paKey, Engine, NoSign, Profile
from cli.errors import BAD_INPUT, FAILED, fail, say
from cli.faces import Faces, ListFaces, MaxFaces, OneFace, Only, aim, aim_later, choose_faces, list_faces
from cli.streams import open_engine, open_stream
from cli.tables import AsJson, print_json

if TYPE_CHECKING:
    from rigid.files.edit_report import EditReport, Progress
    from rigid.stream.group_stream import AnyStream


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("edit")(edit)


def edit(
    source: options.Source,
    target: options.Target,
    set_: options.Edits = None,
    preset: options.Preset = None,
    at: options.Scheduled = None,
    faces: Faces = "all",
    max_faces: MaxFaces = 4,
    only: Only = None,
    face: OneFace = None,
    show_faces: ListFaces = False,
    compare: options.Compare = False,
    strip_metadata: options.Strip = False,
    badge: options.WithBadge = False,
    no_sign: NoSign = False,
    c2pa_certificate: C2paCertificate = None,
    c2pa_key: C2paKey = None,
    report: options.ReportFile = None,
    as_json: AsJson = False,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    composite: options.Blend = "change",
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
    worker_cpus: options.WorkerCpus = 2.0,
) -> None:
    """Edit the faces in a video or image; sound and frame times are kept.

    Of a folder or a list, every file is edited. The same command goes on where it was stopped.
    """
    from cli.edit_many import edit_many
    from rigid.files.batch_plan import is_batch

    choice = choose_faces(faces, max_faces)
    if show_faces:
        list_faces(source, target, choice, as_json=as_json)
        return
    edits = [*aim(options.add_preset(preset, set_ or [], profile), only), *(face or [])]
    kept = (compare, strip_metadata, badge, no_sign, c2pa_certificate, c2pa_key)
    wanted = options.Wanted(
        edits, aim_later(at or [], only), *kept, report, profile, engine, composite, choice, as_json
    )
    if is_batch(source):
        edit_many(source, target, wanted, jobs, None if cluster is None else (cluster, worker_cpus))
    elif cluster is not None:
        fail(f"{source} is one file; --cluster is for a folder or a list of them.", BAD_INPUT)
    else:
        _edit_one(source, target, wanted)


def _edit_one(source: Path, target: Path, wanted: options.Wanted) -> None:
    from rigid.atomic_files import check_folder, write_json
    from rigid.files.edit import edit_file
    from rigid.files.edit_job import EditJob
    from rigid.files.journal import name_unfinished

    try:
        job = EditJob(source, target, *wanted.strengths(), wanted.compare)
        job.check()
        job = replace(job, **wanted.how())
        if wanted.report is not None:
            check_folder(wanted.report)
        with ExitStack() as resources:
            done = edit_file(
                job, partial(_make_stream, resources, wanted), wanted.profile, _progress(resources, source)
            )
        if wanted.report is not None:
            write_json(wanted.report, done.as_json())
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except OSError as error:
        fail(f"{target} could not be written: {error.strerror or error}.", FAILED)
    except KeyboardInterrupt:
        if name_unfinished(target).is_dir():
            say(f"Stopped; the same command goes on where {source} was.")
        raise
    _summarise(target, done, as_json=wanted.as_json)


def _make_stream(resources: ExitStack, wanted: options.Wanted) -> AnyStream:
    """A stream on the engine; `resources` closes what it runs on."""
    runtime = open_engine(wanted.profile, wanted.engine, shared=wanted.faces.most > 1)
    resources.callback(runtime.close)
    return open_stream(runtime, wanted.profile, wanted.composite, wanted.faces)


def _progress(resources: ExitStack, source: Path) -> Progress:
    """Shows frames done; the display begins with the first, when their number is known."""
    from rigid.progress import Update, show_progress

    shown: list[Update] = []

    def update(done: int, total: int | None) -> None:
        if not shown:
            shown.append(resources.enter_context(show_progress(f"Editing {source.name}", total, "frames")))
        shown[0](done)

    return update


def _summarise(target: Path, done: EditReport, *, as_json: bool) -> None:
    for warning in done.warnings:
        say(f"Warning: {warning}")
    for note in done.notes:
        say(f"Note: {note}")
    if as_json:
        print_json(done.as_json())
        return
    fps = done.frames / done.seconds if done.seconds else 0.0
    typer.echo(
        f"{target}: {done.frames} frames, {done.face_frames} with a face, in {done.seconds:.1f} s "
        f"({fps:.1f} a second, {done.engine})."
    )
