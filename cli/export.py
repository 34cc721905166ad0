"""`rigid-live export`: write the networks to the files that the engines run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.choices import Profile
from cli.errors import bad_input, say

if TYPE_CHECKING:
    from rigid.assets.store import AssetStore


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
        str | None,
        typer.Option(
            help="Also make this engine ready: auto, or one that `engines list` names; tensorrt-rtx is built on any "
            "machine."
        ),
    ] = None,
    compute_capability: Annotated[
        str | None,
        typer.Option(help="The GPUs that tensorrt-rtx is built for, as 8.6,8.9,12.0; all that it knows unless given."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Export anew, also when nothing has changed.")] = False,
) -> None:
    """Write the networks to the files that engines run; does nothing when that is done.

    The profile mobile-256 comes with its graphs, which get their weights. Others, and int8, are exported with PyTorch,
    run and compared with it.
    """
    from engines import build_portable, check_engine, check_portable, load_runtime
    from engines.exports import HALF
    from engines.registry import RTX, find_tensorrt
    from rigid.assets.store import AssetStore

    store = AssetStore()
    with bad_input():
        check_engine(engine or "auto")
        portable = engine is not None and find_tensorrt(engine) == RTX
        if compute_capability is not None and not portable:
            raise ValueError(
                f"--compute-capability {compute_capability} says what the engine tensorrt-rtx is built for; add "
                "--engine tensorrt-rtx, or leave it out."
            )
        capabilities = [one.strip() for one in (compute_capability or "").split(",") if one.strip()]
        if portable:
            check_portable(capabilities)
        folder = _ensure(profile, precision, store, force=force, kinds=(HALF,) if portable else ())
        typer.echo(f"Ready: {folder}.")
        if portable:
            build_portable(folder, store, capabilities, typer.echo, force=force)
        elif engine is not None:
            runtime = load_runtime(profile, engine, store=store)
            runtime.close()
            typer.echo(f"Ready: {profile} on {runtime.name}.")


def _ensure(profile: str, precision: str, store: AssetStore, *, force: bool, kinds: tuple[str, ...]) -> Path:
    from engines.filling import require_exports
    from rigid.models.graph_weights import graphs_folder

    if precision == "auto" and graphs_folder(profile) is not None:
        return require_exports(profile, store, force=force, kinds=kinds)
    from export import ensure_exported, ensure_int8

    ensure = ensure_int8 if precision == "int8" else ensure_exported
    return ensure(profile, store, say, force=force, kinds=kinds)
