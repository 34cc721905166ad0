from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.discovery import regions
from rigid.discovery.shapes import eye_opening, eye_size, face_width, jaw_width, lip_size, nose_size
from rigid.face.landmarks import LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from tests.discovery.faces import landmarks

SKIN = (200, 150, 120)


def ring(centre: tuple[float, float], radius: float, count: int) -> Array:
    """Points round a circle."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return (np.stack([np.cos(angles), np.sin(angles)], 1) * radius + centre).astype(np.float32)


def face() -> Array:
    """A face whose coloured regions are circles: cheeks, forehead, chin, lips."""
    points = landmarks()
    for cheek, x in zip(regions.CHEEKS, (95, 161), strict=True):
        points[list(cheek)] = ring((x, 140), 10, len(cheek))
    for part, y in zip(regions.PLAIN_SKIN, (75, 195), strict=True):
        points[list(part)] = ring((128, y), 8, len(part))
    points[OUTER_LIPS] = ring((128, 165), 12, len(OUTER_LIPS))
    points[list(regions.INNER_LIPS_RIM)] = ring((128, 165), 3, len(regions.INNER_LIPS_RIM))
    return points


def painted(points: Array, outline: tuple[int, ...], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A picture all of skin, with one region in another colour."""
    image = np.full((256, 256, 3), SKIN, np.uint8)
    cv2.fillPoly(image, [np.rint(points[list(outline)]).astype(np.int32)], colour)
    return image


def test_colours_are_lab() -> None:
    red = regions.lab_of(np.full((2, 2, 3), (255, 0, 0), np.uint8))[0, 0]
    np.testing.assert_allclose(red, (53.2, 80.1, 67.2), atol=1)


def test_lips_redder_than_skin_are_lipstick() -> None:
    points = face()
    lips = tuple(OUTER_LIPS.tolist())
    assert regions.lip_colour(regions.lab_of(painted(points, lips, SKIN)), points) == pytest.approx(0, abs=0.5)
    assert regions.lip_colour(regions.lab_of(painted(points, lips, (200, 20, 60))), points) > 30


def test_hair_is_looked_at_above_the_forehead() -> None:
    points = face()
    for landmark, place in zip((152, 10, 234, 454), ((128, 210), (128, 70), (70, 130), (186, 130)), strict=True):
        points[landmark] = place
    image = np.full((256, 256, 3), SKIN, np.uint8)
    image[30:60] = (220, 180, 60)
    blond = regions.hair_colour(regions.lab_of(image), points)
    np.testing.assert_allclose(blond, regions.lab_of(image)[45, 128], atol=1)
    cut_off = regions.hair_colour(regions.lab_of(image), points - np.array([0, 100], np.float32))
    assert np.isfinite(cut_off).all()


def test_red_cheeks_are_rosy() -> None:
    points = face()
    image = painted(points, regions.CHEEKS[0], (230, 120, 120))
    assert regions.rosiness(regions.lab_of(painted(points, regions.CHEEKS[0], SKIN)), points) == pytest.approx(0, abs=1)
    assert regions.rosiness(regions.lab_of(image), points) > 5


def test_the_typology_angle_falls_with_a_tan() -> None:
    assert regions.typology_angle(np.array([70, 10, 15], np.float32)) == pytest.approx(53.1, abs=0.1)
    assert regions.typology_angle(np.array([40, 10, 15], np.float32)) < 0


def test_dark_lids_are_shadow() -> None:
    points = face()
    for lid, brow, x in zip(regions.LIDS, regions.LOWER_BROWS, (100, 156), strict=True):
        points[list(lid)] = [(x + i, 112) for i in range(-12, 16, 4)]
        points[list(brow)] = [(x + i, 92) for i in range(-12, 16, 4)]
    image = np.full((256, 256, 3), SKIN, np.uint8)
    assert regions.eye_shadow(regions.lab_of(image), points) == pytest.approx(0, abs=0.5)
    image[101:113] = 60
    assert regions.eye_shadow(regions.lab_of(image), points) > 20


def test_light_is_that_of_the_face() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[80:210, 70:190] = 127
    assert regions.face_light(image, landmarks()) == pytest.approx(0.5, abs=0.02)


def test_proportions_are_counted_in_eye_distances() -> None:
    points = landmarks()
    points[234], points[454], points[172], points[397] = (68, 120), (188, 120), (88, 160), (168, 160)
    assert face_width(points) == pytest.approx((120 + 80) / 2 / 80)
    assert jaw_width(points) == pytest.approx(80 / 120)
    points[129], points[358], points[6], points[2] = (118, 140), (138, 140), (128, 100), (128, 145)
    assert nose_size(points) == pytest.approx((20 * 45) ** 0.5 / 80)
    points[0], points[17] = (128, 142), (128, 178)
    assert lip_size(points) == pytest.approx((8 + 8) / 80)


def test_eyes_have_an_opening_and_a_size() -> None:
    points = landmarks()
    points[159], points[145], points[386], points[374] = (100, 105), (100, 115), (155, 105), (155, 115)
    assert eye_opening(points) == pytest.approx(10 / 25)
    points[234], points[454] = (68, 120), (188, 120)
    points[LEFT_EYE], points[RIGHT_EYE] = ring((100, 110), 10, 16), ring((155, 110), 10, 16)
    # of a polygon with 16 corners
    area = 0.5 * 16 * 100 * np.sin(2 * np.pi / 16)
    assert eye_size(points) == pytest.approx(area**0.5 / 120, rel=1e-3)
