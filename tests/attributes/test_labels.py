from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rigid.attributes.labels import (
    BLENDSHAPES,
    BROWS,
    CHIN,
    MEASURES,
    FaceLabeller,
    face_crop,
    face_light,
    face_width,
    glasses,
    head_angles,
    lips_gap,
)
from rigid.models.age_gender import AgeGenderNet

Array = NDArray[np.float32]


def turned(axis: int, degrees: float) -> Array:
    """A pose turned about x (0), y (1) or z (2), right-handed, 3 times as large as life and far away."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    pose = np.eye(4, dtype=np.float32)
    pose[a, a], pose[b, b], pose[a, b], pose[b, a] = cos, cos, -sin, sin
    pose[:3, :3] *= 3
    pose[:3, 3] = 1, 2, -40
    return pose


def test_angles_have_the_stated_signs() -> None:
    np.testing.assert_allclose(head_angles(np.eye(4, dtype=np.float32)), (0, 0, 0), atol=1e-6)
    # y points up: a positive turn about it takes the nose from the viewer to the picture's right
    np.testing.assert_allclose(head_angles(turned(1, 20)), (20, 0, 0), atol=1e-4)
    # about x, the nose goes down
    np.testing.assert_allclose(head_angles(turned(0, 20)), (0, -20, 0), atol=1e-4)
    # about z, the head tilts anticlockwise as seen
    np.testing.assert_allclose(head_angles(turned(2, 20)), (0, 0, -20), atol=1e-4)


def landmarks() -> Array:
    """A face 100 pixels wide round (128, 128) with brows at 90, chin at 190, eyes at 110."""
    points = np.full((478, 2), 128, np.float32)
    points[0], points[1] = (78, 128), (178, 128)
    points[list(BROWS)] = 128, 90
    points[CHIN] = 128, 190
    points[[33, 133, 362, 263]] = [(88, 110), (113, 110), (143, 110), (168, 110)]
    points[13], points[14] = (128, 150), (128, 170)
    return points


def test_the_age_crop_holds_brows_to_chin_and_a_tenth_round() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[80:200, 68:188] = 200  # 120 pixels: the face's 100 and a fifth
    crop = face_crop(image, landmarks(), 112)
    assert crop.shape == (112, 112, 3)
    assert crop[2:-2, 2:-2].min() == 200
    image[80:200, 68:188] = 0
    image[:80], image[200:], image[:, :68], image[:, 188:] = 200, 200, 200, 200
    assert face_crop(image, landmarks(), 112)[2:-2, 2:-2].max() == 0


def test_the_gap_between_the_lips_is_measured_in_eye_distances() -> None:
    assert lips_gap(landmarks()) == pytest.approx(20 / 80)


def test_the_width_of_a_face_is_measured_in_eye_distances() -> None:
    points = landmarks()
    points[234], points[454], points[172], points[397] = (68, 120), (188, 120), (88, 160), (168, 160)
    assert face_width(points) == pytest.approx((120 + 80) / 2 / 80)


def test_a_bar_across_the_nose_looks_like_glasses() -> None:
    image = np.full((256, 256, 3), 180, np.uint8)
    assert glasses(image, landmarks()) < 0.01
    image[108:112] = 20
    assert glasses(image, landmarks()) > 0.8


def test_light_is_that_of_the_face() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[80:210, 70:190] = 127
    assert face_light(image, landmarks()) == pytest.approx(0.5, abs=0.02)


@dataclass(frozen=True)
class HandMadeFace:
    landmarks: Array
    blendshapes: dict[str, float]
    pose: Array | None


class HandMadeLandmarker:
    """Finds a face in pictures that are not black."""

    def __init__(self) -> None:
        self.timestamps: list[int] = []

    def reset(self) -> None:
        self.timestamps.append(-1)

    def detect(self, frame: NDArray[np.uint8], timestamp_ms: int) -> list[HandMadeFace]:
        self.timestamps.append(timestamp_ms)
        shapes = {name: 0.25 for names in BLENDSHAPES.values() for name in names} | {"mouthSmileLeft": 0.75}
        return [HandMadeFace(landmarks(), shapes, turned(1, 10))] if frame.any() else []


def test_a_labeller_puts_every_measure_in_its_column() -> None:
    landmarker = HandMadeLandmarker()
    network = AgeGenderNet().eval().requires_grad_(False)
    torch.nn.init.zeros_(network.age.weight)
    torch.nn.init.constant_(network.age.bias, 33.0)
    images = np.stack([np.full((256, 256, 3), 128, np.uint8), np.zeros((256, 256, 3), np.uint8)])
    labels = FaceLabeller(landmarker, network)(images)
    assert labels.shape == (2, len(MEASURES)) and labels.dtype == np.float32
    found = dict(zip(MEASURES, labels[0].tolist(), strict=True))
    assert found["smile"] == pytest.approx(0.5)
    assert found["mouth_open"] == pytest.approx(0.25)
    assert found["yaw"] == pytest.approx(10, abs=1e-3)
    assert found["age"] == pytest.approx(33)
    assert np.isnan(labels[1]).all()
    first, second = (t for t in landmarker.timestamps if t >= 0)
    assert second > first and landmarker.timestamps[::2] == [-1, -1]
