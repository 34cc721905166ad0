"""`rigid-live evaluate`: measure the method and its baselines on clips."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import Composite, Engine, Profile
from cli.errors import BAD_INPUT, FAILED, fail

if TYPE_CHECKING:
    from rigid.evaluation.run import EvaluationJob

DEFAULT_EDIT = "smile=1"

Videos = Annotated[Path, typer.Option(metavar="DIR", help="The folder of videos to measure on.")]
Out = Annotated[
    Path, typer.Option(metavar="DIR", help="Where the report goes; the same command goes on where it was stopped.")
]
Methods = Annotated[str, typer.Option(metavar="NAME,…", help="What to compare: rigid, per-frame, optimise, tune.")]
Edits = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=STRENGTH", help=f"The edit to measure; {DEFAULT_EDIT} unless given; may be repeated."
    ),
]
Frames = Annotated[int, typer.Option(min=2, help="How many of each clip's first frames to measure.")]
Without = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PART",
        help="Also measure rigid without tcc, nm, lfd (Table 3) or steadying; may be repeated or NAME,….",
    ),
]
Every = Annotated[int, typer.Option(min=1, help="Take LPIPS, identity and edit strength of every so many frames.")]
Split = Annotated[
    str | None, typer.Option(help="Only the clips that the index.json in DIR or beside it puts in this split.")
]
Clips = Annotated[list[str] | None, typer.Option("--clip", metavar="NAME", help="Only this clip; may be repeated.")]
OptimiseSteps = Annotated[int, typer.Option(min=1, help="Gradient steps a frame of optimise.")]
TuneSteps = Annotated[int, typer.Option(min=1, help="Gradient steps a clip of tune.")]
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
    videos: Videos,
    out: Out,
    methods: Methods = "rigid,per-frame",
    set_: Edits = None,
    frames: Frames = 60,
    without: Without = None,
    every: Every = 1,
    split: Split = None,
    clip: Clips = None,
    optimise_steps: OptimiseSteps = 50,
    tune_steps: TuneSteps = 200,
    i3d: Fvd = None,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    composite: Blend = "transfer",
) -> None:
    """Measure inversion, coherence, identity and edit strength; write report.json, report.md, plots and strips."""
    from rigid.evaluation.measure import EvaluationError
    from rigid.evaluation.methods import MethodOptions
    from rigid.evaluation.run import EvaluationJob

    try:
        job = EvaluationJob(
            videos=videos,
            out=out,
            edits=_edits(profile, set_ or [DEFAULT_EDIT]),
            methods=_names(methods),
            without=[name for part in without or [] for name in _names(part)],
            frames=frames,
            every=every,
            split=split,
            names=clip or [],
            options=MethodOptions(composite, optimise_steps, tune_steps),
        )
        _check(job, engine, i3d)
        _run(job, profile, engine, i3d, _command(context))
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
    from rigid.attributes.library import load_library
    from rigid.edit import parse_edit

    return load_library(profile).validate(dict(map(parse_edit, texts)))


def _check(job: EvaluationJob, engine: str, i3d: Path | None) -> None:
    """Everything that can be known to be wrong before anything slow is loaded."""
    import importlib.util

    from engines import check_engine
    from rigid.evaluation.fvd import I3D

    job.check()
    check_engine(engine)
    for package in ("dlib", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            fail(f"The evaluation needs {package}, which is not installed; run pip install 'rigid-live[evaluate]'.")
    if i3d is not None:
        I3D(i3d)


def _run(job: EvaluationJob, profile: str, engine: str, i3d: Path | None, command: str) -> None:
    from engines import load_runtime
    from engines.files import weights_hash
    from engines.machine import cores, processor
    from export import ensure_exported
    from rigid.assets import AssetStore
    from rigid.evaluation.run import evaluate, expected_frames
    from rigid.evaluation.tools import open_tools
    from rigid.progress import show_progress

    store = AssetStore()
    if engine != "torch":
        ensure_exported(profile, store, _say)
    runtime = load_runtime(profile, engine, store=store)
    try:
        facts = {"weights": weights_hash(profile, store)[:12], "machine": f"{processor()}, {cores()} cores"}
        with open_tools(profile, runtime, store, facts=facts, i3d=i3d, say=_say) as tools:
            total = expected_frames(job, job.check())
            with show_progress("Evaluating", total, "frames") as update:
                evaluate(job, tools, command, update)
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
            parts += [parameter.opts[0], str(one)]
    return shlex.join(parts)
