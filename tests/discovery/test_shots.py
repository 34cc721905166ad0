"""Frames of clips are inverted as a stream does it, where a face is found in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.discovery import shots as module
from rigid.discovery.labels import FaceLabeller
from rigid.discovery.shots import Shots, take_shots
from rigid.edits.attribute_header import FEATURES
from rigid.files.clips import Clip
from rigid.models.contract import CLASSES
from tests.fakes import TINY, FakeRuntime
from tests.worlds import landmarks_in_crop

SIZE, COUNT = TINY.image_size, 3


class Labeller:
    """Finds a face in all frames but the first, less and less male."""

    measures = ("age", "male")

    def observe(self, frames: Pixels) -> dict[str, Array]:
        landmarks = np.repeat(landmarks_in_crop(SIZE)[None], len(frames), 0)
        landmarks[0] = np.nan
        return {"landmarks": landmarks}

    def measure(self, frames: Pixels, seen: dict[str, Array]) -> Array:
        return np.stack([np.full(len(frames), 30.0), -np.arange(len(frames))], 1).astype(np.float32)


def test_shots_are_of_the_frames_with_a_face(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.full((SIZE, SIZE, 3), 60 * (i + 1), np.uint8) for i in range(COUNT)]
    monkeypatch.setattr(module, "frames_of", lambda path: frames)
    runtime = FakeRuntime(replace(TINY, n_classes=len(CLASSES)))
    taken = list(take_shots([Clip("one", Path("one.mp4"))], runtime, cast(FaceLabeller, Labeller())))
    assert [shot.male for shot in taken] == [-1.0, -2.0]
    assert runtime.inverted == 2 * len(taken), "a first frame goes through the encoder twice"
    assert np.allclose(taken[0].real, 120 / 127.5 - 1, atol=1e-5)
    assert np.allclose(taken[0].inverted, taken[0].real, atol=0.2), "what the codes make of it"
    found = Shots.of(taken, dict.fromkeys(FEATURES, 1.0))
    assert found.real.shape == found.inverted.shape == (2, 3, SIZE, SIZE) and len(found.noise) == 2
    assert not found.kept.any(), "nothing stays of what is to change"
