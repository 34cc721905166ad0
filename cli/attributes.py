"""`rigid-live attributes`: list the edits a profile offers, import more, and discover them in its generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import attributes_discovery
from cli.choices import Profile
from cli.errors import BAD_INPUT, FAILED, bad_input, fail, say
from cli.tables import AsJson, Column, print_rows

attributes = typer.Typer(help="The edits: list, import, remove, discover; presets.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command group to the program."""
    attributes_discovery.register(attributes)
    app.add_typer(attributes, name="attributes")


@attributes.command("list")
def list_attributes(
    profile: Profile = "mobile-256",
    as_json: AsJson = False,
) -> None:
    """List every attribute: its range and what it does at full strength."""
    from rigid.edits.library import load_library

    with bad_input():
        library = load_library(profile)
    columns: dict[str, Column] = {
        "attribute": "name",
        "group": "group",
        "range": lambda row: f"{row['min']:g} … {row['max']:g}",
        "at 1": lambda row: ": ".join(filter(None, (row["label"], row["effect"]))),
    }
    print_rows(library.describe(), columns, as_json=as_json)


@attributes.command("import")
def import_attribute(
    file: Annotated[Path, typer.Argument(help="The file that holds the edit; see below.", show_default=False)],
    name: Annotated[
        str | None, typer.Option(help="How the API calls it; a file of this project has its own.", show_default=False)
    ] = None,
    label: Annotated[str | None, typer.Option(help="What people read; the name unless given.")] = None,
    group: Annotated[str | None, typer.Option(help="Where a page shows it: expression, age, hair ...; other.")] = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="A-B", help="The codes that carry it, such as 4-7 or 4,5; counted as the file does. All."),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="Length of the edit at strength 1, in multiples of what the file holds; as is usual for it."),
    ] = None,
    component: Annotated[int | None, typer.Option(min=0, help="Which direction, of a file with many.")] = None,
    one_way: Annotated[bool, typer.Option("--one-way", help="Its range is 0 to 1, not -1 to 1.")] = False,
    family: Annotated[
        str | None, typer.Option(help="The generator it is for, where its file name says another one.")
    ] = None,
    profile: Profile = "mobile-256",
) -> None:
    """Add an edit from a file: this project's own, or one that others publish.

    Taken are .safetensors of this project; directions in W as .npy or .pt (1x512 as InterFaceGAN's, 18x512 as in STIT
    and e4e); principal components (GANSpace) and eigenvectors (SeFa) with --component; StyleCLIP's mappers and
    Latent-Transformer checkpoints. No code in a file is run.
    """
    from rigid.edits.importing import ImportRequest, import_attribute, target_of
    from rigid.edits.library import load_library

    request = ImportRequest(name, label, group, layers, strength, component, one_way, family)
    try:
        added = import_attribute(file, request, target_of(profile), load_library(profile).names)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except OSError as error:
        fail(f"{file} could not be taken in: {error.strerror or error}.", FAILED)
    typer.echo(
        f"{added.name}: {added.source}. It is on offer the next time; `attributes remove {added.name}` undoes it."
    )


@attributes.command()
def remove(
    name: Annotated[str, typer.Argument(help="An attribute that was imported.", show_default=False)],
    profile: Profile = "mobile-256",
) -> None:
    """Remove an attribute that was imported; those that ship stay."""
    from rigid.edits.importing import remove_attribute, target_of

    with bad_input():
        remove_attribute(name, target_of(profile))
    typer.echo(f"{name} is removed.")


@attributes.command()
def presets(
    profile: Profile = "mobile-256",
    as_json: AsJson = False,
) -> None:
    """List the presets: those that ship, and your own, one JSON file each in the folder this names."""
    from rigid.edits.library import load_library
    from rigid.edits.presets import PresetStore, own_folder

    with bad_input():
        store = PresetStore(load_library(profile), own_folder())
    columns: dict[str, Column] = {"preset": "name", "label": "label", "edits": "edits"}
    print_rows((preset.describe() for preset in store), columns, as_json=as_json)
    for problem in store.problems:
        say(f"Left out: {problem}")
    say(f'Your own: {own_folder()}/NAME.json, {{"edits": {{"smile": 0.8}}, "fade_ms": 800}}.')
