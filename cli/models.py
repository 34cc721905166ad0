"""`rigid-live models`: see, fetch and check the assets of the model store; import published checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.errors import BAD_INPUT, fail, say
from cli.tables import AsJson, Column, Row, print_rows

NEEDED_TO_SERVE = ("generator", "face-landmarks")
"""The assets that `serve` and `edit` use; the others are for measuring and training."""

models = typer.Typer(help="The models this program uses: list, pull, verify, import.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command group to the program."""
    app.add_typer(models, name="models")


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List every model: its size, whether it is here, its licence and what it is."""
    from rigid.assets.store import AssetStore
    from rigid.progress import amount

    store = AssetStore()
    listed = [
        {
            "name": name,
            "bytes": asset.size,
            "here": not store.problems(name),
            "licence": asset.licence,
            "description": asset.description,
        }
        for name, asset in store.manifest.items()
    ]
    columns: dict[str, Column] = {
        "model": "name",
        "size": lambda row: amount(row["bytes"], "bytes"),
        "here": "here",
        "licence": "licence",
        "what it is": "description",
    }
    print_rows(listed, columns, as_json=as_json)
    say(f"They are kept in {store.cache_dir}.")


@models.command()
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Models to fetch; without a name, those `serve` needs."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch every model, also those for training.")] = False,
) -> None:
    """Fetch models that are missing or damaged."""
    from rigid.assets.store import AssetStore

    store = AssetStore()
    wanted = list(store.manifest) if everything else list(_check_known(names, list(store.manifest)) or NEEDED_TO_SERVE)
    store.ensure_all(wanted)
    typer.echo(f"Ready: {', '.join(wanted)} (in {store.cache_dir}).")


@models.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Models to check; without a name, those fetched.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the files in the cache with the SHA-256 of the manifest; fetches nothing.

    Without a name, also see whether the weights that come with this program, and those imported, fit its networks.
    """
    from rigid.assets.store import AssetStore

    store = AssetStore()
    fetched = [name for name in store.manifest if store.folder(name).exists()]
    wanted = _check_known(names, list(store.manifest)) or fetched
    if not wanted:
        say("No model has been fetched yet; `rigid-live models pull` does it.")
    found = [_checked(name, "model", store.problems(name)) for name in wanted]
    weights = [] if names else _check_weights()
    columns: dict[str, Column] = {
        "name": "name",
        "what": "kind",
        "state": lambda row: "; ".join(row["problems"]) or "ok",
    }
    print_rows([*found, *weights], columns, as_json=as_json)
    wrong, unfit = ([row["name"] for row in rows if row["problems"]] for rows in (found, weights))
    if wrong:
        fail(f"Damaged or incomplete: {', '.join(wrong)}; run `rigid-live models pull {' '.join(wrong)}`.")
    if unfit:
        fail(f"The networks of {' and '.join(unfit)} lack weights that fit.")


@models.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The checkpoint, as it was published.", show_default=False)
    ],
    family: Annotated[
        Literal["stylegan2", "e4e", "rigid", "visible"],
        typer.Option("--as", help="What the checkpoint holds.", show_default=False),
    ],
    profile: Annotated[str, typer.Option(help="The networks' profile.")] = "rigid-256",
) -> None:
    """Import a published PyTorch checkpoint of the paper's networks; no code that it may hold is run.

    A checkpoint that also holds a generator (e4e, rigid) replaces the one imported before.
    """
    from rigid.checkpoints import import_checkpoint

    try:
        written = import_checkpoint(file, family, profile)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    names = ", ".join(path.stem.replace("_", " ") for path in written)
    typer.echo(f"Imported into {profile}: {names} (in {written[0].parent}).")


def _check_weights() -> list[Row]:
    """How the profiles' own weights are."""
    from rigid.models.graph_weights import check_weights
    from rigid.models.profiles import PROFILES, WITHOUT_PARSER, parser_file, weights_files

    if not parser_file().is_file():
        say(f"Warning: The face parser is missing; {WITHOUT_PARSER}")
    # one that nothing was imported for is not meant to be used
    return [_checked(profile, "networks", check_weights(profile)) for profile in PROFILES if weights_files(profile)]


def _checked(name: str, kind: str, problems: list[str]) -> Row:
    return {"name": name, "kind": kind, "problems": problems}


def _check_known(names: list[str] | None, known: list[str]) -> list[str]:
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        fail(f"There is no model {unknown[0]!r}; the models are: {', '.join(known)}.", BAD_INPUT)
    return names or []
