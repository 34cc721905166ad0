"""MediaPipe's face detector by itself, against the one that MediaPipe runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from rigid.arrays import Pixels
from rigid.face.detector import ANCHORS, MEMBER, FaceDetector
from rigid.face.views import View
from tests.face.test_alignment import placed


@pytest.fixture(scope="module")
def detector(model_path: Path) -> FaceDetector:
    return FaceDetector(model_path)


def find_with_mediapipe(model_path: Path, picture: Pixels) -> list[Any]:
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    with ZipFile(model_path) as task:
        options = vision.FaceDetectorOptions(base_options=BaseOptions(model_asset_buffer=task.read(MEMBER)))
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
    with vision.FaceDetector.create_from_options(options) as theirs:
        return list(theirs.detect(image).detections)


def test_it_finds_what_mediapipe_finds(model_path: Path, detector: FaceDetector, portrait: Pixels) -> None:
    """Wide, high and turned pictures, one face and two; MediaPipe tells boxes in whole pixels."""
    both = placed(portrait, (640, 480), 300, (160, 240))[0]
    both[:, 320:] = placed(portrait, (640, 480), 260, (480, 220))[0][:, 320:]
    turned = placed(portrait, (300, 500), 240, (150, 260), 0.3)[0]
    for picture, count in ((portrait, 1), (both, 2), (turned, 1)):
        height, width = picture.shape[:2]
        found, expected = detector.find(picture), find_with_mediapipe(model_path, picture)
        assert len(found) == len(expected) == count
        for ours, theirs in zip(found, expected, strict=True):
            box = theirs.bounding_box
            assert ours.score == pytest.approx(theirs.categories[0].score, abs=0.01)
            np.testing.assert_allclose(ours.low, (box.origin_x, box.origin_y), atol=2)
            np.testing.assert_allclose(ours.high - ours.low, (box.width, box.height), atol=2)
            points = [(point.x * width, point.y * height) for point in theirs.keypoints]
            np.testing.assert_allclose(ours.points, points, atol=0.01 * max(width, height))


def test_where_no_face_is_it_finds_none(detector: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    for picture in (np.zeros((480, 640, 3), np.uint8), noise, np.full((1, 1, 3), 200, np.uint8)):
        assert detector.find(picture) == []


def test_regions_are_upright_and_in_the_frame(detector: FaceDetector, portrait: Pixels) -> None:
    """A window that is turned with the face sees it as the whole frame does."""
    turn = math.pi / 2
    straight = placed(portrait, (512, 512), 300, (256, 256))[0]
    frame = np.ascontiguousarray(np.rot90(straight, -1))
    (where,) = detector.detect(frame, View.of_window((256.0, 256.0), 512.0, turn))
    (upright,) = detector.detect(straight, View.of_frame(512, 512))
    assert where.angle == pytest.approx(upright.angle + turn, abs=0.1)
    assert where.side == pytest.approx(upright.side, rel=0.1)
    (x, y), (u, v) = where.centre, upright.centre
    np.testing.assert_allclose((x, y), (512 - v, u), atol=20)


def test_anchors_lie_row_by_row() -> None:
    """As many boxes of a cell one after another as it has."""
    assert ANCHORS.shape == (896, 2)
    np.testing.assert_allclose(ANCHORS[[0, 1, 2, 32, 511, 512, 518]] * 16, [
        (0.5, 0.5), (0.5, 0.5), (1.5, 0.5), (0.5, 1.5), (15.5, 15.5), (1, 1), (3, 1),
    ])  # fmt: skip
