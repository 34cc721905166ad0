"""`rigid-live train`: train the networks this project ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import fail

STAGES = ("generator", "image-encoder", "visible-net", "recurrent", "parser")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("train")(train)


def train(
    stage: Annotated[str, typer.Argument(help=f"What to train: {', '.join(STAGES)}.")],
    preset: Annotated[
        str,
        typer.Option(
            help="Sizes and schedule: mobile-256, mobile-256-continue (from what ships), rigid-256, smoke (seconds)."
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print all options and stop.")] = False,
) -> None:
    """Train STAGE; SIGINT or SIGTERM saves and stops, and --resume goes on from there."""
    from rigid.assets import AssetStore
    from rigid.training.loop import NotFinite
    from rigid.training.stages import plan
    from rigid.training.stages import train as run

    try:
        todo = plan(stage, preset, data, visible=visible, flow=flow, without=without or ())
        if dry_run:
            typer.echo(todo.describe())
            return
        folder = out or Path("runs") / f"{stage}-{preset}"
        measures = run(todo, AssetStore(), folder, resume=resume, say=lambda line: typer.echo(line))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except NotFinite as error:
        fail(f"Training broke off: {error}.")
    typer.echo("  ".join(f"{name} {value:.4f}" for name, value in measures.items()))
    typer.echo(f"The weights are in {folder}; copy them to rigid/weights to ship them.")
