"""`rigid-live engines list|build|clear`: what runs the networks, and what is kept for it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.choices import Profile
from cli.errors import bad_input
from cli.tables import AsJson, print_rows


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    commands = typer.Typer(help="What runs the networks: list, build ahead of time, clear.", no_args_is_help=True)
    commands.command("list")(list_engines)
    commands.command("build")(build)
    commands.command("clear")(clear)
    app.add_typer(commands, name="engines")


def list_engines(as_json: AsJson = False) -> None:
    """List the engines there are: whether each can run here, and what was measured of it or is to be done for it."""
    from engines.inventory import list_all
    from rigid.assets.store import AssetStore

    listed = [entry.as_json() for entry in list_all(AssetStore())]
    print_rows(listed, {"engine": "name", "state": "state", "measured, or what to do": "note"}, as_json=as_json)


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
