"""How muscles move the landmarks of an upright face."""

from __future__ import annotations

import numpy as np

from rigid.discovery import pulls
from rigid.face.landmarks import CHIN, LEFT_EYE, MOUTH_CORNERS, OUTER_LIPS, RIGHT_EYE
from rigid.geometry import Points

OUTER, INNER = (70, 46, 300, 276), (107, 55, 336, 285)
"""The outer and the inner ends of both brows."""
MIDDLE_LIPS = [0, 17]


def make_places() -> Points:
    """Brows, a mouth and a chin, all else out of the way."""
    places = np.full((478, 2), -1, np.float32)
    rims = (((70, 63, 105, 66, 107), (300, 293, 334, 296, 336)), ((46, 53, 52, 65, 55), (276, 283, 282, 295, 285)))
    for y, (left, right) in zip((0.4, 0.42), rims, strict=True):
        places[[*left]] = np.stack((np.linspace(0.3, 0.45, 5), np.full(5, y)), 1)
        places[[*right]] = np.stack((np.linspace(0.7, 0.55, 5), np.full(5, y)), 1)
    turn = np.linspace(0, 2 * np.pi, len(OUTER_LIPS), endpoint=False)
    places[OUTER_LIPS] = np.stack((0.5 - 0.1 * np.cos(turn), 0.75 + 0.02 * np.sin(turn)), 1)
    places[CHIN] = 0.5, 0.95
    return places


def test_larger_eyes_grow_from_their_centres() -> None:
    places = np.zeros((478, 2), np.float32)
    turn = np.linspace(0, 2 * np.pi, len(LEFT_EYE), endpoint=False)
    for x, eye in ((0.35, LEFT_EYE), (0.65, RIGHT_EYE)):
        places[eye] = 0.04 * np.stack((np.cos(turn), np.sin(turn)), -1) + np.array((x, 0.5))
    grown, shrunk = pulls.grow_eyes(places)
    np.testing.assert_allclose(np.linalg.norm(grown[LEFT_EYE], axis=1), pulls.GROWTH * 0.04, rtol=0.01)
    np.testing.assert_allclose(grown[LEFT_EYE].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(shrunk, -grown / 2)
    assert not grown[CHIN].any()


def test_frowning_brows_sink_and_meet_at_their_inner_ends() -> None:
    forth, back = pulls.draw_brows_together(make_places())
    for outer, inner in zip(OUTER, INNER, strict=True):
        assert forth[inner, 1] > 2 * forth[outer, 1] > 0, "downwards, at the inner ends most of all"
    (left, _, right, _), apart = forth[[*INNER], 0], pulls.DRAWN_IN
    np.testing.assert_allclose((left, right), (apart, -apart), rtol=0.01, err_msg="towards each other")
    assert not back.any() and abs(forth[CHIN]).max() < 1e-6


def test_a_sad_mouth_falls_at_its_corners_and_only_on_the_way_back() -> None:
    forth, back = pulls.lower_mouth_corners(make_places())
    assert not forth.any()
    assert (back[MOUTH_CORNERS, 1] > 0.5 * pulls.CORNERS_FALL).all()
    assert (back[MIDDLE_LIPS, 1] < 0).all(), "its middle rises"
    assert abs(back[[*OUTER, CHIN]]).max() < 1e-6
