"""`rigid-live verify`: what a picture or film says of where it comes from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import FAILED, bad_input, fail
from cli.tables import AsJson, print_json

if TYPE_CHECKING:
    from rigid.files.provenance_reading import Provenance


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("verify")(verify)


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A jpg, png, webp or mp4.")],
    as_json: AsJson = False,
) -> None:
    """Tell whether a file says that AI edited it, and whether it was changed since.

    The exit status is 1 where it says nothing, or was changed.
    """
    from rigid.files.provenance_reading import read

    with bad_input():
        told = read(file)
    if told is None:
        fail(f"{file} says nothing about where it comes from.", FAILED)
    _print(file, told, as_json)
    if not told.intact:
        fail(f"{file} was changed after it was signed ({', '.join(told.problems)}).", FAILED)


def _print(file: Path, told: Provenance, as_json: bool) -> None:
    if as_json:
        print_json(asdict(told))
        return
    edits = ", ".join(f"{name} {value:g}" for name, value in told.edits.items())
    typer.echo(f"{file}: {'edited with AI' if told.edited_with_ai else 'no word of AI'}; strengths: {edits or 'none'}")
    typer.echo(f"by {told.program or 'an unnamed program'}, {told.signed_at or 'at an unknown time'}")
    vouched = "vouched for by a known authority" if told.trusted else "vouched for by nobody"
    typer.echo(f"signed by {told.signer}, {vouched}; {'unchanged since' if told.intact else 'CHANGED since'}")
