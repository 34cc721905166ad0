from __future__ import annotations

import numpy as np
import pytest
import torch

from rigid.discovery.labels import UNITS, FaceLabeller, unit_of
from rigid.discovery.looks import no_looks
from rigid.discovery.observe import Observer, face_crop, head_angles
from rigid.models.age_gender import AgeGenderNet
from rigid.models.expression import EXPRESSIONS, ExpressionNet
from tests.discovery.faces import HandMadeLandmarker, landmarks, turned


def test_angles_have_the_stated_signs() -> None:
    np.testing.assert_allclose(head_angles(np.eye(4, dtype=np.float32)), (0, 0, 0), atol=1e-6)
    # y points up: a positive turn about it takes the nose from the viewer to the picture's right
    np.testing.assert_allclose(head_angles(turned(1, 20)), (20, 0, 0), atol=1e-4)
    # about x, the nose goes down
    np.testing.assert_allclose(head_angles(turned(0, 20)), (0, -20, 0), atol=1e-4)
    # about z, the head tilts anticlockwise as seen
    np.testing.assert_allclose(head_angles(turned(2, 20)), (0, 0, -20), atol=1e-4)


def test_the_age_crop_holds_brows_to_chin_and_a_tenth_round() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[80:200, 68:188] = 200  # 120 pixels: the face's 100 and a fifth
    crop = face_crop(image, landmarks(), 112)
    assert crop.shape == (112, 112, 3)
    assert crop[2:-2, 2:-2].min() == 200
    image[80:200, 68:188] = 0
    image[:80], image[200:], image[:, :68], image[:, 188:] = 200, 200, 200, 200
    assert face_crop(image, landmarks(), 112)[2:-2, 2:-2].max() == 0


def networks() -> tuple[AgeGenderNet, ExpressionNet]:
    """An age net that says 33 to all, and an expression net that says surprised."""
    ages = AgeGenderNet().eval().requires_grad_(False)
    torch.nn.init.zeros_(ages.age.weight)
    torch.nn.init.constant_(ages.age.bias, 33.0)
    expression = ExpressionNet().eval().requires_grad_(False)
    torch.nn.init.zeros_(expression.fc.weight)
    expression.fc.bias.copy_(torch.tensor([10.0 * (name == "surprised") for name in EXPRESSIONS]))
    return ages, expression


def test_a_labeller_puts_every_measure_in_its_column() -> None:
    landmarker = HandMadeLandmarker()
    labeller = FaceLabeller(Observer(landmarker, *networks()), no_looks())
    assert labeller.measures == tuple(UNITS)
    images = np.stack([np.full((256, 256, 3), 128, np.uint8), np.zeros((256, 256, 3), np.uint8)])
    labels = labeller(images)
    assert labels.shape == (2, len(UNITS)) and labels.dtype == np.float32
    found = dict(zip(labeller.measures, labels[0].tolist(), strict=True))
    assert found["smile"] == pytest.approx(0.5)
    assert found["mouth_open"] == pytest.approx(0.25)
    assert found["yaw"] == pytest.approx(10, abs=1e-3)
    assert found["age"] == pytest.approx(33)
    assert found["surprised"] == pytest.approx(1, abs=1e-3) and found["sad"] < 0.01
    assert found["lips_gap"] == pytest.approx(20 / 80)
    assert np.isnan(labels[1]).all()
    first, second = (t for t in landmarker.timestamps if t >= 0)
    assert second > first and landmarker.timestamps[::2] == [-1, -1]


def test_what_was_seen_can_be_measured_later() -> None:
    labeller = FaceLabeller(Observer(HandMadeLandmarker(), *networks()), no_looks())
    images = np.full((2, 256, 256, 3), 128, np.uint8)
    seen = labeller.observe(images)
    assert seen["landmarks"].shape == (2, 478, 2) and seen["expressions"].shape == (2, len(EXPRESSIONS))
    np.testing.assert_array_equal(labeller.measure(images, seen), labeller(images))


def test_every_measure_has_a_unit() -> None:
    assert unit_of("yaw") == "°" and unit_of("beard") == "of the classifier's certainty"
