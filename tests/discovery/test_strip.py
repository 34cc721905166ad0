from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from rigid.discovery.strip import render_face, strip_strengths, to_jpeg
from rigid.edits.attribute import Attribute
from tests.fakes import TINY, FakeRuntime

DIRECTION = np.full((TINY.n_codes, TINY.code_size), 0.5, np.float32)
LIGHT = Attribute("light", "Light", "light", -1.0, 1.0, 0.0, "strength", "made by hand", DIRECTION)


def test_the_strengths_span_the_natural_range() -> None:
    assert strip_strengths(LIGHT) == [-1, -0.5, 0, 0.5, 1]
    assert strip_strengths(replace(LIGHT, min=0.0), 3) == [0, 0.5, 1]


def test_a_stronger_edit_shows_and_the_shared_codes_stay() -> None:
    face = np.zeros(TINY.code_size, np.float32)
    pictures = [render_face(FakeRuntime(), face, LIGHT, strength, side=16) for strength in (-1.0, 0.0, 1.0)]
    assert all(picture.shape == (16, 16, 3) and picture.dtype == np.uint8 for picture in pictures)
    # four of the six codes take the edit, and the fake picture is their mean
    assert [int(picture[8, 8, 0]) for picture in pictures] == [85, 128, 170]


def test_the_pictures_stand_beside_each_other() -> None:
    pictures = [np.full((16, 16, 3), (value, 0, 0), np.uint8) for value in (40, 200)]
    shown = cv2.imdecode(np.frombuffer(to_jpeg(pictures), np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None and shown.shape == (16, 32, 3)
    assert abs(int(shown[8, 4, 2]) - 40) < 8 and abs(int(shown[8, 28, 2]) - 200) < 8
