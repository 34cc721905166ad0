"""The signs of faults on faces made by hand, each with one fault and without."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.evaluation.face_regions import FACE_REGIONS, face_regions, outer_band, zooms
from rigid.evaluation.fault_signs import (
    THRESHOLDS,
    Faces,
    Signs,
    double_edges,
    find_changed,
    flickers,
    join,
    seam,
    shares,
)
from tests.worlds import landmarks_in_crop

SIZE = 128


def soft(picture: Array, sigma: float) -> Array:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def plain(level: float = 0.0) -> Array:
    """A face without an edge."""
    return np.full((SIZE, SIZE, 3), level, np.float32)


def disc(radius: float, centre: tuple[float, float] = (64, 64)) -> NDArray[np.float32]:
    rows, columns = np.indices((SIZE, SIZE))
    inside = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 < radius**2
    return np.asarray(inside[..., None], np.float32)


def barred(column: int, level: float = 0.6) -> Array:
    """A face with an upright bar, such as a strand or the frame of a pair of glasses."""
    face = plain()
    face[30:100, column : column + 3] = level
    return soft(face, 0.8)


def test_a_hard_border_is_a_seam_and_a_soft_one_is_none() -> None:
    real, edited = plain(), plain(0.4)
    hard = Faces(real, real, edited, real + disc(30) * (edited - real))
    feathered = Faces(real, real, edited, real + soft(disc(30), 8)[..., None] * (edited - real))
    assert seam(hard) > 2 * THRESHOLDS.seam and seam(feathered) < THRESHOLDS.seam / 2


def test_an_edge_that_the_edited_face_has_is_no_seam() -> None:
    real = plain()
    edited = real + disc(30) * plain(0.4)
    assert seam(Faces(real, real, edited, edited)) < THRESHOLDS.seam / 2


def test_both_faces_edges_side_by_side_are_double() -> None:
    real, edited = barred(55), barred(66)
    assert double_edges(Faces(real, real, edited, np.maximum(real, edited))) > 2 * double_edges(
        Faces(real, real, edited, edited)
    )
    assert double_edges(Faces(real, real, edited, edited)) < THRESHOLDS.double_edges / 4


def test_nothing_changed_has_no_sign() -> None:
    face = barred(55)
    unchanged = Faces(face, face, face, face)
    assert not find_changed(unchanged).any() and seam(unchanged) == double_edges(unchanged) == 0
    assert shares(unchanged, {"mouth": disc(20)[..., 0] > 0}) == {}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_an_edit_that_shows_is_told_by_region(share: float) -> None:
    real = plain(0.2)
    inverted, edited = plain(), soft(disc(20) * plain(0.5), 2)
    where, elsewhere = disc(20)[..., 0] > 0, disc(10, (10, 10))[..., 0] > 0
    found = shares(
        Faces(real, inverted, edited, real + np.float32(share) * (edited - inverted)),
        {"mouth": where, "eyes": elsewhere},
    )
    assert list(found) == ["mouth"] and found["mouth"] == pytest.approx(share, abs=1e-5)


def test_flicker_counts_nothing_of_a_still_pictures_noise() -> None:
    assert flickers(1.0, 0.2) < 1.1 and flickers(100.0, 30.0) > 2


def test_frames_are_joined_and_told_by_the_worst_region() -> None:
    first = Signs(0.01, 0.02, {"mouth": 0.8, "jaw": 0.4}, {})
    second = Signs(0.03, 0.04, {"mouth": 0.6}, {})
    both = join([first, second, Signs(math.nan, math.nan, {}, {"eyes": 3.0, "mouth": 1.0})])
    assert both.seam == pytest.approx(0.02) and both.double_edges == pytest.approx(0.03)
    assert both.half_edit == pytest.approx(0.4) and both.flicker == 3.0
    assert "half edit" in both.faults() and "flicker" in both.faults() and "seam" not in both.faults()
    assert Signs(math.nan, math.nan).faults() == []


def test_regions_lie_where_the_face_has_them_and_apart() -> None:
    landmarks = landmarks_in_crop(SIZE)
    regions = face_regions(landmarks, SIZE)
    assert tuple(regions) == (*FACE_REGIONS, "hair") and max(np.sum([*regions.values()], 0).ravel()) == 1
    rows = {name: np.argwhere(region)[:, 0].mean() for name, region in regions.items()}
    assert rows["hair"] < rows["forehead"] < rows["cheeks"] < rows["mouth"] < rows["jaw"]
    assert regions["mouth"][round(0.65 * SIZE), SIZE // 2] and regions["eyes"][round(0.42 * SIZE), round(0.4 * SIZE)]
    places = {name: box[0] for name, box in zooms(landmarks).items()}
    assert places["hair line"][1] < places["eyes"][1] < places["mouth"][1]


def test_a_band_lies_on_both_sides_of_a_border() -> None:
    region = disc(30)[..., 0] > 0
    band = outer_band(region, 5)
    assert band[64, 64 + 30] and band[64, 64 + 33] and band[64, 64 + 27] and not band[64, 64] and not band[64, 110]
