"""`rigid-live engines list|build|clear`: what runs the networks, and what is kept for it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cli.choices import Profile
from cli.errors import bad_input


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    commands = typer.Typer(help="What runs the networks: list, build ahead of time, clear.", no_args_is_help=True)
    commands.command("list")(list_engines)
    commands.command("build")(build)
    commands.command("clear")(clear)
    app.add_typer(commands, name="engines")


def list_engines(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The engines there are, whether each can run here, and what was measured of them."""
    from engines.inventory import list_all
    from rigid.assets.store import AssetStore

    listed = list_all(AssetStore())
    if as_json:
        typer.echo(json.dumps([entry.as_json() for entry in listed], indent=1))
        return
    for entry in listed:
        typer.echo(f"{entry.name:<15}{entry.state:<15}{entry.note}")


def build(
    profile: Profile = "mobile-256",
    engine: Annotated[
        str, typer.Option(help="auto: measure those installed and remember the fastest; or one by name.")
    ] = "auto",
) -> None:
    """Make an engine ready, so that the next start is quick."""
    from cli.streams import open_engine

    with bad_input():
        runtime = open_engine(profile, engine)
    runtime.close()
    typer.echo(f"Ready: {profile} on {runtime.name}.")


def clear() -> None:
    """Remove exported networks, built engines and what was measured; fetched models and weights stay."""
    from engines.inventory import clear_all
    from rigid.assets.store import AssetStore

    removed, size = clear_all(AssetStore())
    typer.echo(f"Removed {removed} files, {size / 1e6:.1f} MB.")
