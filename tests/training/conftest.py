"""Data folders that are as small as can be."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rigid.assets.store import AssetStore
from rigid.fields import to_pixels
from rigid.models.build import build_generator, build_mapping, mean_code
from rigid.training.codes import sample_codes
from tests.clips import write_clip


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as small as can be: a clip and a still to train on, a clip to validate on."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "aligned").mkdir()
    (folder / "stills").mkdir()
    clips = [{"name": "one", "split": "train"}, {"name": "two", "split": "val"}]
    for clip in clips:
        write_clip(folder / "aligned" / f"{clip['name']}.mp4", (0, 40, 80, 120), sound=None, size=(256, 256))
    cv2.imwrite(str(folder / "stills" / "three.jpg"), np.full((256, 256, 3), 120, np.uint8))
    stills = [{"name": "three", "split": "train"}]
    (folder / "index.json").write_text(json.dumps({"clips": clips, "stills": stills}))
    return folder


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory, store: AssetStore) -> Path:
    """A data folder whose faces are generated: two clips, with their frames round them, and a still."""
    folder = tmp_path_factory.mktemp("footage")
    for name in ("aligned", "clips", "stills"):
        (folder / name).mkdir()
    mean = mean_code("mobile-256")
    random = torch.Generator().manual_seed(3)
    codes = sample_codes(build_mapping(store), mean, 2, 16, random, truncation=(0.6, 0.6), mixing=0.0)
    with torch.no_grad():
        faces = to_pixels(build_generator("mobile-256", store)(codes).numpy()).transpose(0, 2, 3, 1)
    clips = [{"name": "one", "split": "train", "fps": 25.0}, {"name": "two", "split": "val", "fps": 25.0}]
    for clip, face in zip(clips, faces, strict=True):
        frames = [np.roll(cv2.copyMakeBorder(face, 64, 64, 64, 64, cv2.BORDER_REFLECT), 2 * t, 1) for t in range(5)]
        stamps, name = tuple(range(0, 200, 40)), f"{clip['name']}.mp4"
        aligned = [np.ascontiguousarray(frame[64:-64, 64:-64]) for frame in frames]
        write_clip(folder / "clips" / name, stamps, sound=None, size=(384, 384), picture=lambda t, _: frames[t])  # noqa: B023
        write_clip(folder / "aligned" / name, stamps, sound=None, size=(256, 256), picture=lambda t, _: aligned[t])  # noqa: B023
    cv2.imwrite(str(folder / "stills" / "three.jpg"), faces[0][..., ::-1])
    stills = [{"name": "three", "split": "train"}]
    (folder / "index.json").write_text(json.dumps({"clips": clips, "stills": stills}))
    return folder
