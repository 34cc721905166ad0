#!/usr/bin/env python3
"""Write `rigid/graphs` anew from the networks and their weights: `make graphs`, after a network was changed."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from export.graphs import write_graphs
from export.networks import build_networks
from rigid.assets.store import AssetStore
from rigid.models.graph_weights import GRAPHS

PROFILE = "mobile-256"


def main() -> None:
    """Make them, then put them in the place of the old ones."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / PROFILE
        made.mkdir()
        write_graphs(build_networks(PROFILE, AssetStore()), made)
        shutil.rmtree(GRAPHS / PROFILE, ignore_errors=True)
        shutil.copytree(made, GRAPHS / PROFILE)


if __name__ == "__main__":
    main()
