"""`rigid-live evaluate`: measure the method and its baselines on clips, or draw a contact sheet of edits."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import Composite, Engine, Profile
from cli.errors import BAD_INPUT, FAILED, fail

if TYPE_CHECKING:
    from rigid.assets.store import AssetStore
    from rigid.evaluation.fairness import FairnessJob
    from rigid.evaluation.run import EvaluationJob
    from rigid.evaluation.sheet import SheetJob
    from rigid.models.contract import Runtime

DEFAULT_EDIT = "smile=1"
DEFAULT_FRAMES = 60

Videos = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The folder of videos to measure on; --fairness does without, too.")
]
Out = Annotated[
    Path, typer.Option(metavar="DIR", help="Where the report goes; the same command goes on where it was stopped.")
]
Methods = Annotated[str, typer.Option(metavar="NAME,…", help="What to compare: rigid, per-frame, optimise, tune.")]
Edits = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=STRENGTH",
        help=f"The edit to measure, {DEFAULT_EDIT} unless given; of a sheet: a column, all unless given; repeatable.",
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        min=2,
        help=f"How many of each clip's first frames to measure, {DEFAULT_FRAMES} unless given; of a sheet: how many "
        "from the clip's middle, 8 unless given.",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PART",
        help="Also measure rigid without tcc, nm, lfd (Table 3) or steadying; may be repeated or NAME,….",
    ),
]
Every = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Take LPIPS, identity and edit strength of every so many frames, 1 unless given; of a sheet: the signs of "
        "faults, 3 unless given.",
    ),
]
Split = Annotated[
    str | None, typer.Option(help="Only the clips that the index.json in DIR or beside it puts in this split.")
]
Clips = Annotated[list[str] | None, typer.Option("--clip", metavar="NAME", help="Only this clip; may be repeated.")]
OptimiseSteps = Annotated[int, typer.Option(min=1, help="Gradient steps a frame of optimise.")]
TuneSteps = Annotated[int, typer.Option(min=1, help="Gradient steps a clip of tune.")]
Sheet = Annotated[
    bool,
    typer.Option(
        "--sheet",
        help="Draw a contact sheet of clips and edits, with signs of what may be wrong in each cell, instead.",
    ),
]
Fair = Annotated[
    bool,
    typer.Option(
        "--fairness", help="Measure by skin tone, apparent age, gender presentation and glasses of people, instead."
    ),
]
Faces = Annotated[
    int | None,
    typer.Option(min=0, help="How many generated faces --fairness measures beside the videos, 48 unless given."),
]
Judged = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Cells judged by eye (clip,edit,faulty), to compare the sheet's signs with."),
]
Fvd = Annotated[Path | None, typer.Option(metavar="FILE", help="I3D weights as TorchScript, for FVD; no FVD without.")]
Blend = Annotated[
    Composite,
    typer.Option(help="How rigid blends; the baselines paste (paper)."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("evaluate")(evaluate)


def evaluate(
    context: typer.Context,
    out: Out,
    videos: Videos = None,
    methods: Methods = "rigid,per-frame",
    set_: Edits = None,
    frames: Frames = None,
    without: Without = None,
    every: Every = None,
    split: Split = None,
    clip: Clips = None,
    optimise_steps: OptimiseSteps = 50,
    tune_steps: TuneSteps = 200,
    i3d: Fvd = None,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    composite: Blend = "change",
    sheet: Sheet = False,
    judged: Judged = None,
    fairness: Fair = False,
    faces: Faces = None,
) -> None:
    """Measure inversion, coherence, identity and edit strength; write report.json, report.md, plots and strips.

    With --sheet: pages of faces before and after every edit, and signs of faults (sheet.json, sheet.md). With
    --fairness: for whom it works, on generated faces and on the videos (fairness.json, fairness.md).
    """
    from rigid.evaluation.fairness import EDITS, FACES, FairnessJob
    from rigid.evaluation.measure import EvaluationError
    from rigid.evaluation.methods import MethodOptions
    from rigid.evaluation.run import EvaluationJob
    from rigid.evaluation.sheet import EVERY, FRAMES, SheetJob

    command = _command(context)
    _check_together(sheet, fairness, judged, faces)
    try:
        if fairness:
            people = FairnessJob(out, _edits(profile, set_ or []) or EDITS, videos, FACES if faces is None else faces)
            people = replace(people, frames=frames or people.frames, split=split, names=clip or [], composite=composite)
            _measure_fairness(people, profile, engine, command)
            return
        if videos is None:
            fail("Which clips? Give --videos, a folder of them.", BAD_INPUT)
        if sheet:
            shots = (frames or FRAMES, every or EVERY, split, clip or [])
            _make_sheet(
                SheetJob(videos, out, _columns(profile, set_ or []), *shots, composite, judged),
                profile,
                engine,
                command,
            )
            return
        job = EvaluationJob(
            videos=videos,
            out=out,
            edits=_edits(profile, set_ or [DEFAULT_EDIT]),
            methods=_names(methods),
            without=[name for part in without or [] for name in _names(part)],
            frames=frames or DEFAULT_FRAMES,
            every=every or 1,
            split=split,
            names=clip or [],
            options=MethodOptions(composite, optimise_steps, tune_steps),
        )
        _check(job, engine, i3d)
        _run(job, profile, engine, i3d, command)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except EvaluationError as error:
        fail(str(error), FAILED)
    except OSError as error:
        fail(f"{out} could not be written: {error.strerror or error}.", FAILED)
    typer.echo(f"{out / 'report.md'}: the tables; plots and strips are beside it.")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _edits(profile: str, texts: list[str]) -> dict[str, float]:
    from rigid.edits.library import load_library
    from rigid.files.timeline import parse_edit

    return load_library(profile).validate(dict(map(parse_edit, texts)))


def _check_together(sheet: bool, fairness: bool, judged: Path | None, faces: int | None) -> None:
    if sheet and fairness:
        fail("--sheet and --fairness are two things; ask for one at a time.", BAD_INPUT)
    if judged is not None and not sheet:
        fail("--judged goes with --sheet; add it.", BAD_INPUT)
    if faces is not None and not fairness:
        fail("--faces goes with --fairness; add it.", BAD_INPUT)


def _columns(profile: str, texts: list[str]) -> list[tuple[str, float]]:
    """The edits of a sheet; the same attribute may come at several strengths."""
    from rigid.edits.library import load_library
    from rigid.evaluation.sheet import all_edits
    from rigid.files.timeline import parse_edit

    library = load_library(profile)
    edits = [(name, library.validate({name: strength})[name]) for name, strength in map(parse_edit, texts)]
    return edits or all_edits(library)


def _make_sheet(job: SheetJob, profile: str, engine: str, command: str) -> None:
    from engines import check_engine
    from rigid.assets.store import AssetStore
    from rigid.evaluation.sheet import make_sheet
    from rigid.evaluation.tools import open_sheet_tools
    from rigid.progress import show_progress

    clips = job.check()
    check_engine(engine)
    store = AssetStore()
    with _open_runtime(profile, engine, store) as (runtime, facts):
        tools = open_sheet_tools(profile, runtime, store, facts=facts, say=_say)
        with show_progress("Drawing", len(clips) * len(job.edits), "cells") as update:
            make_sheet(job, tools, command, update)
    typer.echo(f"{job.out / 'sheet.md'}: what was found; the pages are in {job.out / 'pages'}.")


def _measure_fairness(job: FairnessJob, profile: str, engine: str, command: str) -> None:
    from engines import check_engine
    from rigid.assets.store import AssetStore
    from rigid.evaluation.fairness import measure_fairness
    from rigid.evaluation.tools import open_fairness_tools
    from rigid.progress import show_progress

    clips = job.check()
    check_engine(engine)
    _check_packages("dlib")
    store = AssetStore()
    with (
        _open_runtime(profile, engine, store) as (runtime, facts),
        open_fairness_tools(profile, runtime, store, facts=facts, say=_say) as tools,
        show_progress("Measuring", job.faces + len(clips), "people") as update,
    ):
        measure_fairness(job, tools, command, update)
    typer.echo(f"{job.out / 'fairness.md'}: the tables; all figures are in {job.out / 'fairness.json'}.")


def _check(job: EvaluationJob, engine: str, i3d: Path | None) -> None:
    """Everything that can be known to be wrong before anything slow is loaded."""
    from engines import check_engine
    from rigid.evaluation.fvd import I3D

    job.check()
    check_engine(engine)
    _check_packages("dlib", "matplotlib")
    if i3d is not None:
        I3D(i3d)


def _check_packages(*names: str) -> None:
    import importlib.util

    for name in names:
        if importlib.util.find_spec(name) is None:
            fail(f"The evaluation needs {name}, which is not installed; run pip install 'rigid-live[evaluate]'.")


def _run(job: EvaluationJob, profile: str, engine: str, i3d: Path | None, command: str) -> None:
    from rigid.assets.store import AssetStore
    from rigid.evaluation.run import count_expected_frames, evaluate
    from rigid.evaluation.tools import open_tools
    from rigid.progress import show_progress

    store = AssetStore()
    with (
        _open_runtime(profile, engine, store) as (runtime, facts),
        open_tools(profile, runtime, store, facts=facts, i3d=i3d, say=_say) as tools,
    ):
        total = count_expected_frames(job, job.check())
        with show_progress("Evaluating", total, "frames") as update:
            evaluate(job, tools, command, update)


@contextmanager
def _open_runtime(profile: str, engine: str, store: AssetStore) -> Iterator[tuple[Runtime, dict[str, object]]]:
    """The runtime, and what results depend on besides the job."""
    from engines import load_runtime
    from engines.exports import weights_hash
    from engines.machine import cores, processor
    from export import ensure_exported

    if engine != "torch":
        ensure_exported(profile, store, _say)
    runtime = load_runtime(profile, engine, store=store)
    try:
        yield runtime, {"weights": weights_hash(profile, store)[:12], "machine": f"{processor()}, {cores()} cores"}
    finally:
        runtime.close()


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _command(context: typer.Context) -> str:
    """The line that makes this report again, every option that was given in it."""
    parts = ["rigid-live", "evaluate"]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value == parameter.default or value in (None, [], ()):
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            parts += [parameter.opts[0]] if one is True else [parameter.opts[0], str(one)]
    return shlex.join(parts)
