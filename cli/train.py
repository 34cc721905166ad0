"""`rigid-live train`: train the networks this project ships."""

from __future__ import annotations

from pathlib import Path

import typer

from cli import train_options as options
from cli.errors import BAD_INPUT, fail, say


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("train")(train)


def train(
    stage: options.Stage,
    preset: options.Preset = "mobile-256",
    data: options.Data = None,
    out: options.Out = None,
    wide: options.Wide = None,
    visible: options.Visible = None,
    flow: options.Flow = None,
    without: options.Without = None,
    resume: options.Resume = False,
    threads: options.Threads = 0,
    niceness: options.Niceness = None,
    turns: options.Turns = None,
    dry_run: options.DryRun = False,
) -> None:
    """Train one of the networks that this project ships.

    SIGINT or SIGTERM saves and stops, and --resume goes on from there.
    carry-on goes on by itself wherever it was stopped, and ends only when it is stopped or --turns are done.
    """
    from rigid.assets.store import AssetStore
    from rigid.training.device import take_what_is_left
    from rigid.training.loop import NotFinite
    from rigid.training.stages import plan
    from rigid.training.stages import train as run

    carried_on = stage == options.CARRY_ON
    take_what_is_left(threads, (19 if carried_on else 0) if niceness is None else niceness)
    folder = out or Path("runs") / (stage if carried_on else f"{stage}-{preset}")
    try:
        if carried_on:
            from rigid.training.carry_on import carry_on

            carry_on(preset, data, AssetStore(), folder, turns=turns, say=say)
            return
        todo = plan(stage, preset, data, wide=wide, visible=visible, flow=flow, without=without or ())
        if dry_run:
            typer.echo(todo.describe())
            return
        measures = run(todo, AssetStore(), folder, resume=resume, say=say)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except NotFinite as error:
        fail(f"Training broke off: {error}.")
    typer.echo("  ".join(f"{name} {value:.4f}" for name, value in measures.items()))
    typer.echo(f"The weights are in {folder}; copy them to rigid/weights to ship them.")
