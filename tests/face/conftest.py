"""One face and one file of landmark networks for all tests of faces."""

from __future__ import annotations

from pathlib import Path

import pytest

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from tests.face.test_alignment import generated_face


@pytest.fixture(scope="package")
def model_path(store: AssetStore) -> Path:
    """Of MediaPipe's face landmarker."""
    return store.file("face-landmarks", "face_landmarker.task")


@pytest.fixture(scope="package")
def portrait(store: AssetStore) -> Pixels:
    """A generated face, uint8 (512, 512, 3)."""
    return generated_face(store.cache_dir)
