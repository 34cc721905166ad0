"""`rigid-live attributes`: list the edits a profile offers, and discover them in its generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

attributes = typer.Typer(help="The edits: list, discover.", no_args_is_help=True)

Profile = Annotated[str, typer.Option(help="Model profile.")]


def register(app: typer.Typer) -> None:
    """Add the command group to the program."""
    app.add_typer(attributes, name="attributes")


@attributes.command("list")
def list_attributes(
    profile: Profile = "mobile-256",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every attribute: its range and what it does at full strength."""
    from rigid.attributes.library import load_library

    try:
        library = load_library(profile)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        typer.echo(json.dumps(library.describe(), indent=2))
        return
    for attribute in library:
        span = f"{attribute.min:g} … {attribute.max:g}"
        typer.echo(f"{attribute.name:<16}{attribute.group:<12}{span:<10}  {attribute.label}: {attribute.effect}")


@attributes.command()
def discover(
    profile: Profile = "mobile-256",
    samples: Annotated[int, typer.Option(min=100, help="Generated faces to look at and fit on.")] = 6000,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for all that is written; runs/attributes/PROFILE unless given."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Discover this attribute only; may be repeated.")
    ] = None,
) -> None:
    """Find the attributes in the generator: label random faces, fit directions, set their strengths.

    Labels are kept: the same command goes on where it was stopped, and fits again at once.
    """
    from rigid.assets import AssetStore
    from rigid.attributes.run import discover_profile
    from rigid.progress import show_progress

    folder = out or Path("runs/attributes") / profile
    try:
        with show_progress("Labelling generated faces", samples, "faces") as update:
            found = discover_profile(
                profile,
                AssetStore(),
                folder,
                count=samples,
                seed=seed,
                names=only or (),
                progress=update,
                report=lambda line: typer.echo(line, err=True),
            )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for one in found:
        typer.echo(f"{one.header.name}: {one.header.effect}")
    typer.echo(f"Files, contact sheets and report.json are in {folder}.")
