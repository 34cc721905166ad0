"""Fixtures every test may use."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from rigid.assets.store import AssetStore
    from rigid.stream.group_stream import AnyStream
    from tests.worlds import EditOn

# Threads that share out networks as tiny as those of tests wait for one another, the longer the busier a machine is.
# PyTorch reads this when it is imported; programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# pytest loads readline, which names the width of a terminal to the processes that share tests out; here is none.
os.environ.pop("COLUMNS", None)
# Ray loads jsonschema, which does without this: it compiles the grammar of addresses, which nothing here is checked by.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]


@pytest.fixture(scope="session")
def store() -> AssetStore:
    """The model store with the user's own cache; what a test needs is fetched once."""
    from rigid.assets.store import AssetStore

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


@pytest.fixture
def edit_on(monkeypatch: pytest.MonkeyPatch) -> EditOn:
    """Has `rigid-live edit` show a file's frames to the streams that a function makes."""

    def install(make_stream: Callable[[], AnyStream]) -> None:
        monkeypatch.setattr("cli.edit._make_stream", lambda *_: make_stream())

    return install


@pytest.fixture
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the weights that ship: the test's own, empty as yet."""
    from rigid.models import profiles

    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(profiles, "WEIGHTS", folder)
    return folder


def pytest_collection_finish() -> None:
    """Search memory for garbage less often, and not what all tests have imported, which takes half a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000)
