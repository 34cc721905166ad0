"""`rigid-live edit`: edit a video or image file."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.errors import BAD_INPUT, FAILED, fail

if TYPE_CHECKING:
    from rigid.edit import EditJob, EditReport, Progress
    from rigid.stream import FaceStream


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("edit")(edit)


def edit(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="The video or image to edit.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the result goes; its extension says how.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=STRENGTH", help="An edit, such as smile=0.8; may be repeated."),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at",
            metavar="SECONDS:NAME=STRENGTH",
            help="An edit that starts at a time, such as 2.5:age=1, and is whole 0.4 s later; may be repeated.",
        ),
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Show the input beside the result.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write counts, speed and stage times here.")
    ] = None,
    profile: Annotated[str, typer.Option(help="The networks' profile.")] = "mobile-256",
    engine: Annotated[str, typer.Option(help="What runs the networks: auto, openvino, onnxruntime or torch.")] = "auto",
    composite: Annotated[
        Literal["transfer", "paper"],
        typer.Option(help="transfer carries only the change onto the real face; paper pastes the edited face."),
    ] = "transfer",
) -> None:
    """Edit the face in a video or image; sound and frame times are kept."""
    from rigid.edit import check_folder, edit_file, write_report

    try:
        job = _job(source, target, set_ or [], at or [], compare, profile)
        if report is not None:
            check_folder(report)
        with ExitStack() as resources:
            make_stream = partial(_make_stream, resources, profile, engine, composite)
            done = edit_file(job, make_stream, profile, _progress(resources, source))
        if report is not None:
            write_report(report, done)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except OSError as error:
        fail(f"{target} could not be written: {error.strerror or error}.", FAILED)
    _summarise(target, done)


def _job(source: Path, target: Path, edits: list[str], schedule: list[str], compare: bool, profile: str) -> EditJob:
    """What was asked for, all of it checked; ValueError says what is wrong."""
    from rigid.attributes.library import load_library
    from rigid.edit import EditJob, parse_edit, parse_scheduled

    library = load_library(profile)
    timed = [parse_scheduled(text) for text in schedule]
    for entry in timed:
        library.validate({entry.name: entry.strength})
    job = EditJob(source, target, library.validate(dict(map(parse_edit, edits))), timed, compare)
    job.check()
    return job


def _make_stream(
    resources: ExitStack, profile: str, engine: str, composite: Literal["transfer", "paper"]
) -> FaceStream:
    """A stream on the engine; `resources` closes what it runs on."""
    from engines import load_runtime
    from export import ensure_exported
    from rigid.align import FaceLandmarker, FaceTracker
    from rigid.assets import AssetStore
    from rigid.attributes.library import load_library
    from rigid.stream import FaceStream, StreamOptions

    store = AssetStore()
    if engine != "torch":
        ensure_exported(profile, store, lambda line: typer.echo(line, err=True))
    runtime = load_runtime(profile, engine, store=store)
    resources.callback(runtime.close)
    landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"))
    tracker = FaceTracker(landmarker, runtime.sizes.image_size)
    return FaceStream(runtime, tracker, load_library(profile), StreamOptions(composite))


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
    fps = done.frames / done.seconds if done.seconds else 0.0
    typer.echo(
        f"{target}: {done.frames} frames, {done.face_frames} with a face, in {done.seconds:.1f} s "
        f"({fps:.1f} a second, {done.engine})."
    )
