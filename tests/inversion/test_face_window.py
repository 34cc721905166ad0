"""Where only the face is edited, only its part of the picture is generated, and nothing else shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from rigid.arrays import Array
from rigid.edits.edit_effect import EditEffect
from rigid.inversion.face_window import MARGIN, face_corner, surround
from rigid.stream.face_stream import FaceStream
from tests.fakes import TINY, FakeRuntime
from tests.worlds import Brighten, FixedTracker, landmarks_in_crop, textured_frame

SIZES = replace(TINY, image_size=256, noise_shape=(4, 32, 32), face_window=(27, 24))
SMALL = replace(TINY, image_size=256, noise_shape=(4, 32, 32), face_window=(16, 16))


def test_the_window_lies_round_the_face() -> None:
    face = landmarks_in_crop(256)
    for shift in ((0, 0), (16, -20), (-18, 30)):
        corner = face_corner(face + np.array(shift, np.float32), SIZES)
        assert corner is not None
        middle = 8 * (np.array(corner) + np.array((27, 24)) / 2)
        assert np.abs(middle - (128 + shift[1], 128 + shift[0])).max() < 16


def test_a_face_too_near_the_edge_of_its_window_needs_the_whole_picture() -> None:
    assert face_corner(landmarks_in_crop(256), SMALL) is None
    wide = landmarks_in_crop(256)
    wide[:, 0] = 128 + (wide[:, 0] - 128) * ((24 * 4 - MARGIN + 1) / 64)
    assert face_corner(wide, SIZES) is None


def test_at_the_edge_of_the_picture_no_margin_is_needed() -> None:
    low = landmarks_in_crop(256) + np.array((0, 256 - 0.83 * 256 - 1), np.float32)
    corner = face_corner(low, SIZES)
    assert corner is not None and corner[0] + 27 == 32


def test_round_the_faces_is_the_real_picture() -> None:
    inputs = np.random.default_rng(0).uniform(-1, 1, (1, 3, 256, 256)).astype(np.float32)
    faces = np.full((2, 3, 27 * 8, 24 * 8), 5, np.float32)
    pictures = surround(faces, (3, 6), inputs, SIZES)
    assert (pictures[:, :, 24:240, 48:240] == 5).all()
    outside = np.ones((256, 256), bool)
    outside[24:240, 48:240] = False
    assert np.array_equal(pictures[:, :, outside], inputs.repeat(2, 0)[:, :, outside])


class OfHair(Brighten):
    """Its `light` is meant for the hair where it is strong."""

    def effect(self, edits: Mapping[str, float], *, level: float = 1.0, gain: float = 1.0) -> EditEffect:
        effect = super().effect(edits, level=level, gain=gain)
        return replace(effect, hair=float(effect.edits.get("light", 0.0) > 0.5))


class Noted(FakeRuntime):
    def __init__(self) -> None:
        super().__init__(SIZES)
        self.faces = 0

    def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
        self.faces += 1
        return super().synthesize_face(codes, noise, corners)


@pytest.mark.parametrize(("strength", "faces"), [(0.4, 4), (0.8, 0)], ids=["face", "hair"])
def test_a_stream_shows_what_it_shows_with_whole_pictures(strength: float, faces: int) -> None:
    runtime = Noted()
    part = FaceStream(runtime, FixedTracker(size=256), OfHair(SIZES))
    whole = FaceStream(FakeRuntime(replace(SIZES, face_window=None)), FixedTracker(size=256), OfHair(SIZES))
    for i in range(3):
        shown, expected = (stream.step(textured_frame(i), {"light": strength}, i / 25) for stream in (part, whole))
        assert shown.error is None and shown.edited
        # The fields that a composite mixes by are smooth, and look a little way beyond the face.
        assert np.abs(shown.frame.astype(int) - expected.frame).mean() < 0.2
    assert runtime.faces == faces  # the first frame goes through the networks twice
