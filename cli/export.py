"""`rigid-live export`: write the networks to the files that the engines run."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.errors import BAD_INPUT, fail


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("export")(export)


def export(
    profile: Annotated[str, typer.Option(help="The networks' profile.")] = "mobile-256",
    force: Annotated[bool, typer.Option("--force", help="Export anew, also when nothing has changed.")] = False,
) -> None:
    """Write the networks to ONNX files, run them and compare them with PyTorch; does nothing when that is done."""
    from export import ensure_exported
    from rigid.assets import AssetStore

    try:
        folder = ensure_exported(profile, AssetStore(), lambda line: typer.echo(line, err=True), force=force)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    typer.echo(f"Ready: {folder}.")
