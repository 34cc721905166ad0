"""`rigid-live train`: train the networks this project ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BAD_INPUT, fail

STAGES = ("generator", "image-encoder", "visible-net", "recurrent", "parser")
CARRY_ON = "carry-on"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("train")(train)


def train(
    stage: Annotated[
        str, typer.Argument(help=f"What to train: {', '.join(STAGES)}, or {CARRY_ON} for the encoders in turns.")
    ],
    preset: Annotated[
        str,
        typer.Option(
            help="Sizes and schedule: mobile-256, mobile-256-continue (from what ships), rigid-256, smoke (seconds); "
            "for carry-on: mobile-256, mobile-256-gpu, smoke."
        ),
    ] = "mobile-256",
    data: Annotated[
        Path | None, typer.Option(envvar="RIGID_LIVE_DATA", help="Folder of real faces with an index.json.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/STAGE-PRESET by default.")] = None,
    visible: Annotated[
        Path | None, typer.Option(help="For recurrent: the trained visible net; the shipped one by default.")
    ] = None,
    flow: Annotated[
        Path | None,
        typer.Option(
            help="For visible-net and recurrent: a flow estimator (torch.export.save); OpenCV's DIS by default."
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="For recurrent: leave out the loss ibfcc or tc; may be repeated.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run folder's last checkpoint.")] = False,
    threads: Annotated[int, typer.Option(min=0, help="Cores to compute on; 0 for all.")] = 0,
    niceness: Annotated[
        int | None, typer.Option(min=0, max=19, help="How far to stand behind other work; 19 for carry-on, else 0.")
    ] = None,
    turns: Annotated[
        int | None, typer.Option(min=1, help="For carry-on: turns in all, then stop; without end by default.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print all options and stop.")] = False,
) -> None:
    """Train STAGE; SIGINT or SIGTERM saves and stops, and --resume goes on from there.

    carry-on goes on by itself wherever it was stopped, and ends only when it is stopped or --turns are done.
    """
    from rigid.assets.store import AssetStore
    from rigid.training.device import take_what_is_left
    from rigid.training.loop import NotFinite
    from rigid.training.stages import plan
    from rigid.training.stages import train as run

    carried_on = stage == CARRY_ON
    take_what_is_left(threads, (19 if carried_on else 0) if niceness is None else niceness)
    folder = out or Path("runs") / (stage if carried_on else f"{stage}-{preset}")
    try:
        if carried_on:
            from rigid.training.carry_on import carry_on

            carry_on(preset, data, AssetStore(), folder, turns=turns, say=lambda line: typer.echo(line))
            return
        todo = plan(stage, preset, data, visible=visible, flow=flow, without=without or ())
        if dry_run:
            typer.echo(todo.describe())
            return
        measures = run(todo, AssetStore(), folder, resume=resume, say=lambda line: typer.echo(line))
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except NotFinite as error:
        fail(f"Training broke off: {error}.")
    typer.echo("  ".join(f"{name} {value:.4f}" for name, value in measures.items()))
    typer.echo(f"The weights are in {folder}; copy them to rigid/weights to ship them.")
