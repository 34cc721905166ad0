"""`rigid-live export`: write the networks to the files that the engines run."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cli.choices import Profile
from cli.errors import BAD_INPUT, fail


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("export")(export)


def export(
    profile: Profile = "mobile-256",
    precision: Annotated[
        Literal["auto", "int8"],
        typer.Option(
            help="auto: what the engines here want; int8: the generator in 8 bits too, calibrated with generated faces."
        ),
    ] = "auto",
    engine: Annotated[
        str | None, typer.Option(help="Also make this engine ready: auto, or one that `engines list` names.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Export anew, also when nothing has changed.")] = False,
) -> None:
    """Write the networks to ONNX files, run them and compare them with PyTorch; does nothing when that is done."""
    from engines import check_engine
    from export import ensure_exported, ensure_int8, prepare
    from rigid.assets.store import AssetStore

    store = AssetStore()
    try:
        check_engine(engine or "auto")
        ensure = ensure_int8 if precision == "int8" else ensure_exported
        folder = ensure(profile, store, _say, force=force)
        typer.echo(f"Ready: {folder}.")
        if engine is not None:
            typer.echo(f"Ready: {profile} on {prepare(profile, engine, store, _say)}.")
    except ValueError as error:
        fail(str(error), BAD_INPUT)


def _say(line: str) -> None:
    typer.echo(line, err=True)
