"""`rigid-live evaluate`: measure the method and its baselines on clips, or draw a contact sheet of edits."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from cli import evaluate_options as options
from cli.choices import Engine, Profile
from cli.errors import BAD_INPUT, FAILED, fail


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("evaluate")(evaluate)


def evaluate(
    context: typer.Context,
    out: options.Out,
    videos: options.Videos = None,
    methods: options.Methods = "rigid,per-frame",
    set_: options.Edits = None,
    frames: options.Frames = None,
    without: options.Without = None,
    every: options.Every = None,
    split: options.Split = None,
    clip: options.Clips = None,
    optimise_steps: options.OptimiseSteps = 50,
    tune_steps: options.TuneSteps = 200,
    i3d: options.Fvd = None,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    composite: options.Blend = "change",
    sheet: options.Sheet = False,
    judged: options.Judged = None,
    fairness: options.Fair = False,
    faces: options.Faces = None,
    max_faces: options.MaxFaces = 1,
) -> None:
    """Measure inversion, coherence, identity and edit strength; write report.json, report.md, plots and strips.

    With --sheet: pages of faces before and after every edit, and signs of faults (sheet.json, sheet.md). With
    --fairness: for whom it works, on generated faces and on the videos (fairness.json, fairness.md).
    """
    from cli.evaluate_runs import Measuring
    from rigid.evaluation.fairness import DRAWN_FACES, FAIRNESS_EDITS, PERSON_FRAMES, FairnessJob
    from rigid.evaluation.measure import EvaluationError
    from rigid.evaluation.methods import MethodOptions
    from rigid.evaluation.run import EvaluationJob
    from rigid.evaluation.sheet import SHEET_EVERY, SHEET_FRAMES, SheetJob

    measuring = Measuring(profile, engine, _command(context))
    _check_together(sheet, fairness, judged, faces)
    chosen, texts = (split, clip or []), set_ or []
    try:
        if fairness:
            edits, count = _edits(profile, texts) or FAIRNESS_EDITS, DRAWN_FACES if faces is None else faces
            job = FairnessJob(out, edits, videos, count, frames or PERSON_FRAMES, *chosen, composite)
            measuring.measure_fairness(job)
        elif videos is None:
            fail("Which clips? Give --videos, a folder of them.", BAD_INPUT)
        elif sheet:
            shots = (frames or SHEET_FRAMES, every or SHEET_EVERY)
            measuring.make_sheet(SheetJob(videos, out, _columns(profile, texts), *shots, *chosen, composite, judged))
        else:
            edits = _edits(profile, texts or [options.DEFAULT_EDIT])
            parts = [name for part in without or [] for name in _names(part)]
            counts = (frames or options.DEFAULT_FRAMES, every or 1)
            how = MethodOptions(composite, optimise_steps, tune_steps)
            clips_job = EvaluationJob(videos, out, edits, _names(methods), parts, *counts, *chosen, max_faces, how)
            measuring.measure_methods(clips_job, i3d)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except EvaluationError as error:
        fail(str(error), FAILED)
    except OSError as error:
        fail(f"{out} could not be written: {error.strerror or error}.", FAILED)


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
