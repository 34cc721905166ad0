"""`rigid-live doctor`: what this machine has, and what limits it."""

from __future__ import annotations

import typer

from cli.choices import Engine, Profile
from cli.errors import BAD_INPUT, FAILED, fail
from cli.tables import AsJson, print_json


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("doctor")(doctor)


def doctor(
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    as_json: AsJson = False,
) -> None:
    """Print processor, GPUs, versions, engines, models and their state, and which stage of a frame takes longest."""
    from engines import check_engine
    from rigid.assets.store import AssetStore
    from rigid.models.profiles import sizes_of
    from server.bench.diagnosis import diagnose, lines

    try:
        sizes_of(profile)
        check_engine(engine)
        report = diagnose(profile, engine, AssetStore())
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    if as_json:
        print_json(report)
    else:
        typer.echo("\n".join(lines(report)))
    if report["problems"]:
        fail(f"{len(report['problems'])} things are not as they should be.", FAILED)
