"""Options that several commands have alike, spelt out so that --help needs none of what stands behind them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Profile = Annotated[str, typer.Option(help="The networks' profile.")]
Engine = Annotated[str, typer.Option(help="What runs the networks: auto, or one that `engines list` names.")]
Composite = Literal["transfer", "transfer-landmarks", "learned", "paper"]
"""`rigid.composite.COMPOSITES`."""
