"""Options that several commands have alike, spelt out so that --help needs none of what stands behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rigid.files.provenance import Signing

SIGNATURE = "Signature"
"""A title under which --help lists options."""

Profile = Annotated[str, typer.Option(help="The networks' profile.")]
Engine = Annotated[str, typer.Option(help="What runs the networks: auto, or one that `engines list` names.")]
Composite = Literal["change", "paper"]
"""`rigid.composite.compositor.CompositeKind`."""
NoSign = Annotated[
    bool,
    typer.Option(
        "--no-sign", help="Leave out the C2PA manifest, which says that AI edited it.", rich_help_panel=SIGNATURE
    ),
]
C2paCertificate = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Sign with this certificate (chain), PEM, not this machine's own.",
        rich_help_panel=SIGNATURE,
    ),
]
C2paKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="That certificate's key, P-256, PEM.", rich_help_panel=SIGNATURE)
]


def choose_signing(no_sign: bool, certificate: Path | None, key: Path | None) -> Signing | None:
    """What to sign with, tried out; ValueError where it cannot be used."""
    if no_sign:
        return None
    from rigid.assets.store import default_cache_dir
    from rigid.files.provenance import Signing

    signing = Signing(certificate, key, default_cache_dir().expanduser().absolute() / "signing")
    signing.load()
    return signing
