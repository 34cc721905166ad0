"""Ten thousand frames of a real clip through the real networks: what is made of them does not drift."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from engines import load_runtime
from rigid.assets.store import AssetStore
from rigid.composite.compositor import Faces
from rigid.edits.library import load_library
from rigid.evaluation.metrics import mean_squared_error
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.files.clips import Replay, Track, find_clips, read_frames, track_clip
from rigid.stream.face_stream import FaceStream

PROFILE, CLIP = "mobile-256", "LivePortrait_d3"
LENGTH, FRAMES, FPS = 126, 10_000, 25


def measures(faces: Faces) -> tuple[float, float, float, float]:
    """Error of the inversion, size of the edit, brightness and contrast of the edited face."""
    change = float(np.abs(faces.edited - faces.inverted).mean())
    return mean_squared_error(faces.real, faces.inverted), change, float(faces.edited.mean()), float(faces.edited.std())


def there_and_back(length: int) -> Iterator[int]:
    """0 … length - 1 … 1, over and over: a loop without a cut."""
    return cycle([*range(length), *range(length - 2, 0, -1)])


@pytest.mark.skipif(not os.environ.get("RIGID_LIVE_LONG_TESTS"), reason="half an hour long: RIGID_LIVE_LONG_TESTS=1")
def test_nothing_drifts_in_ten_thousand_frames_of_a_clip(store: AssetStore, data_dir: Path | None) -> None:
    if data_dir is None:
        pytest.skip("needs real clips: RIGID_LIVE_DATA")
    (clip,) = find_clips(data_dir / "clips", None, (CLIP,))
    tracker = FaceTracker(FaceLandmarker(store.file("face-landmarks", "face_landmarker.task")))
    track = track_clip(clip, tracker, LENGTH)
    tracker.close()
    frames = [frame for frame, _ in read_frames(clip.path, LENGTH)]
    order = list(islice(there_and_back(len(frames)), FRAMES))
    runtime = load_runtime(PROFILE, store=store)
    stream = FaceStream(runtime, Replay(Track([track.faces[i] for i in order])), load_library(PROFILE))
    seen = []
    for number, index in enumerate(order):
        result = stream.step(frames[index], {"smile": 1.0}, number / FPS)
        assert result.error is None
        if result.faces is not None:
            seen.append(measures(result.faces))
    stream.close()
    runtime.close()
    figures = np.array(seen)
    early, late = figures[500:1000].mean(0), figures[-500:].mean(0)
    print(f"MSE, change, brightness, contrast: {early} in frames 500 to 1000, {late} in the last 500")
    np.testing.assert_allclose(late[[0, 1, 3]], early[[0, 1, 3]], rtol=0.05)
    assert abs(late[2] - early[2]) < 0.05 * early[3], "brightness, which may be near 0"
