from __future__ import annotations

import numpy as np

from rigid.motion import landmark_flow
from tests.worlds import landmarks_in_crop

SIZE = 128
POINTS = landmarks_in_crop(256)
CENTRE = (64, 64)


def test_a_face_that_has_moved_as_a_whole_gives_that_motion() -> None:
    flow = landmark_flow(POINTS, POINTS + np.array([4.0, -2.0], np.float32), 256, SIZE)
    assert flow.shape == (SIZE, SIZE, 2) and flow.dtype == np.float32
    np.testing.assert_allclose(flow[CENTRE], [2.0, -1.0], atol=0.05)


def test_far_from_all_landmarks_nothing_moves() -> None:
    flow = landmark_flow(POINTS, POINTS + np.float32(8), 256, SIZE)
    assert np.abs(flow[:4]).max() < 0.05 and np.abs(flow[CENTRE]).max() > 3


def test_each_place_follows_the_landmarks_near_it() -> None:
    moved = POINTS.copy()
    chin = int(POINTS[:, 1].argmax())
    near = np.linalg.norm(POINTS - POINTS[chin], axis=1) < 20
    moved[near, 1] += 6
    flow = landmark_flow(POINTS, moved, 256, SIZE)
    x, y = (POINTS[chin] / 2).astype(int)
    assert flow[y, x, 1] > 2 and abs(flow[CENTRE][1]) < 0.1
