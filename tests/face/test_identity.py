"""The identity net on generated faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.face.alignment import FaceLandmarker
from rigid.face.identity import FaceEmbedder
from rigid.models.build import build_generator, build_mapping, mean_code


def generated(store: AssetStore, count: int) -> list[Pixels]:
    """Faces of `count` different people, (256, 256, 3)."""
    mapping, mean = build_mapping(store), mean_code("mobile-256")
    z = torch.randn(count, mean.numel(), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        codes = (mean + 0.6 * (mapping(z) - mean))[:, None].expand(-1, 16, -1)
        images = build_generator("mobile-256", store)(codes).permute(0, 2, 3, 1)
    return list(((images + 1) * 127.5).round().clamp(0, 255).byte().numpy())


def landmarks(store: AssetStore, picture: Pixels) -> NDArray[np.float32]:
    landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"))
    try:
        return landmarker.detect(picture, 0)[0].landmarks
    finally:
        landmarker.close()


@pytest.mark.slow
def test_one_person_is_nearer_to_herself_than_to_others(store: AssetStore) -> None:
    first, second = generated(store, 2)
    moved = np.roll(first, (6, 9), (0, 1))
    darker = np.rint(first * 0.8).astype(np.uint8)
    embed = FaceEmbedder(store)
    one, other = (embed(picture, landmarks(store, picture)) for picture in (first, second))
    again = embed(moved, landmarks(store, first)), embed(darker, landmarks(store, first))
    assert one.shape == (128,) and np.linalg.norm(one) == pytest.approx(1)
    assert min(one @ twin for twin in again) > 0.97
    assert one @ other < 0.95 < one @ again[0]
    # rows of a video frame need not lie close together in memory
    gaps = np.pad(first, ((0, 0), (0, 7), (0, 0)))[:, :256]
    assert embed(gaps, landmarks(store, first)) == pytest.approx(one)
