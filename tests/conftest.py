"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rigid.assets.store import AssetStore


@pytest.fixture(scope="session")
def store() -> AssetStore:
    """The model store with the user's own cache; what a test needs is fetched once."""
    return AssetStore()


@pytest.fixture(scope="session")
def data_dir() -> Path | None:
    """The folder of real clips and stills (`RIGID_LIVE_DATA`); None where it is not set."""
    value = os.environ.get("RIGID_LIVE_DATA")
    if not value:
        return None
    folder = Path(value)
    assert folder.is_dir(), f"RIGID_LIVE_DATA is {value!r}, which is not a folder"
    return folder
