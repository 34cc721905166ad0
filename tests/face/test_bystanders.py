"""Others in the picture: seen by the real detector in a rendered one, and counted by a scripted one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rigid.arrays import Pixels
from rigid.face.alignment import Face, FaceLandmarker, FaceTracker
from rigid.face.bystanders import Bystanders
from rigid.face.detector import FaceDetector
from rigid.face.landmark_net import region, region_of
from rigid.face.landmarks import N_LANDMARKS
from rigid.face.views import View
from tests.face.test_alignment import placed

BLANK = np.zeros((240, 640, 3), np.uint8)
OWN = Face(np.random.default_rng(0).uniform((100, 60), (200, 180), (N_LANDMARKS, 2)).astype(np.float32))
SIDE = region_of(OWN.landmarks).side


class Scripted(FaceDetector):
    """Sees the same regions in everything; notes the views it was asked to look at."""

    def __init__(self, seen: list[View]):
        self._seen = seen
        self.looked: list[View] = []

    def detect(self, frame: Pixels, view: View) -> list[View]:
        self.looked.append(view)
        return self._seen


def at(across: float, side: float) -> View:
    """A region so many of the followed face's sides beside it, and so large."""
    return region(np.array(region_of(OWN.landmarks).centre) + np.array([across * SIDE, 0]), side * SIDE, 0.0)


@pytest.mark.parametrize(
    ("seen", "count"),
    [
        ([], 0),
        ([at(0.0, 1.0)], 0),
        ([at(0.1, 1.2), at(0.3, 0.8)], 0),
        ([at(0.0, 1.0), at(1.5, 1.0)], 1),
        ([at(1.5, 1.0)], 1),
        ([at(0.0, 1.0), at(1.5, 0.3)], 0),
        ([at(0.0, 1.0), at(1.0, 0.5), at(3.0, 3.0)], 2),
    ],
    ids=["missed", "alone", "twice", "beside", "only", "far-behind", "three"],
)
def test_faces_of_a_like_size_elsewhere_are_others(seen: list[View], count: int) -> None:
    bystanders = Bystanders(Scripted(seen))
    bystanders.watch(BLANK, OWN, 0.0)
    bystanders.watch(BLANK, OWN, 0.6)
    assert bystanders.count == count


def test_the_whole_frame_is_looked_at_once_a_second() -> None:
    detector = Scripted([at(0.0, 1.0), at(1.5, 1.0)])
    bystanders, looked = Bystanders(detector), detector.looked
    counts = []
    for tenth in range(36):
        bystanders.watch(BLANK, OWN, tenth / 10)
        counts.append(bystanders.count)
    assert counts == [0] * 5 + [1] * 31 and len(looked) == 4
    assert all(view.is_like(View.of_frame(640, 240)) for view in looked)
    # a clock that was set back does not put the next look off
    bystanders.watch(BLANK, OWN, 0.2)
    assert len(looked) == 5
    bystanders.forget()
    assert bystanders.count == 0


@pytest.mark.parametrize("share", [0.5, 1.0, 1.3], ids=["half as large", "as large", "larger"])
def test_one_who_sits_down_beside_is_told_until_they_leave(model_path: Path, portrait: Pixels, share: float) -> None:
    """And is not followed, whatever their size."""
    alone, _ = placed(portrait, (960, 480), 330, (240, 240))
    both = alone.copy()
    both[:, 480:] = placed(portrait, (960, 480), 330 * share, (720, 240))[0][:, 480:]
    tracker = FaceTracker(FaceLandmarker(model_path))
    told, middles = [], []
    for number, frame in enumerate([alone] * 6 + [both] * 12 + [alone] * 12):
        tracked = tracker.track(frame, number / 6)
        assert tracked is not None
        told.append(tracked.faces)
        middles.append(float(tracked.face.centre[0]))
    tracker.close()
    assert told[:6] == [1] * 6 and told[12:18] == [2] * 6 and told[24:] == [1] * 6
    assert np.ptp(middles) < 2.0
