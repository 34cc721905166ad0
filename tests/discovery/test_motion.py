"""How an attribute moves the landmarks of generated faces, in a world where code 0 says where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.discovery.motion import FEWEST_FACES, Landmarks, move_folder
from rigid.discovery.observe import Seen
from rigid.discovery.samples import Studio
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_file import read_attribute, write_attribute
from rigid.edits.attribute_header import AttributeHeader
from rigid.face.landmarks import OUTER_LIPS
from tests.discovery.world import World
from tests.fakes import TINY

SIDE = 24


class Moving(World):
    """Draws a face whose landmarks lie as far to the right as the first number of code 0 says, none beyond 0.9."""

    def synthesize(self, codes: Array) -> Array:
        return np.broadcast_to(codes[:, 0, :1, None, None], (len(codes), 3, SIDE, SIDE)).astype(np.float32)

    def observe(self, images: Pixels) -> Seen:
        right = images[:, 0, 0, 0].astype(np.float32) / 127.5 - 1
        landmarks = np.zeros((len(images), 478, 2), np.float32)
        landmarks[..., 0] = np.where(right > 0.9, np.nan, right)[:, None] * SIDE
        landmarks[:, 152, 1] = SIDE
        return {"landmarks": landmarks}


def studio() -> Studio:
    world = Moving()
    return Studio(world.synthesize, world)


def codes(count: int = 20, highest: float = 0.3) -> Array:
    drawn = np.zeros((count, TINY.n_codes, TINY.code_size), np.float32)
    drawn[:, 0, 0] = np.linspace(-0.3, highest, count)
    return drawn


def shifting(by: float, code: int = 0, low: float = -1.0) -> Attribute:
    direction = np.zeros((TINY.n_codes, TINY.code_size), np.float32)
    direction[code, 0] = by
    return Attribute("jaw", "Jaw", "shape", low, 1, 0, "", "", direction, opposite=2.0)


def test_motion_is_the_mean_both_ways_in_crop_sides() -> None:
    motion = Landmarks(studio(), codes()).motion(shifting(0.1), 4)
    assert motion.shape == (2, 478, 2) and motion.dtype == np.float32
    np.testing.assert_allclose(motion[0, :, 0], 0.1, atol=0.01)
    np.testing.assert_allclose(motion[1, :, 0], -0.2, atol=0.01)
    assert not motion[..., 1].any()
    assert not Landmarks(studio(), codes()).motion(shifting(0.1, low=0.0), 4)[1].any()


def test_codes_that_a_stream_shares_move_nothing() -> None:
    assert not Landmarks(studio(), codes()).motion(shifting(0.1, code=5), 4).any()


def test_faces_that_are_lost_do_not_count() -> None:
    faces = Landmarks(studio(), codes(20, highest=0.6))
    np.testing.assert_allclose(faces.motion(shifting(0.5), 4)[0, :, 0], 0.5, atol=0.01)
    with pytest.raises(ValueError, match=f"jaw at 1 leaves {FEWEST_FACES - 7} of 20 faces"):
        faces.motion(shifting(1.18), 4)


def test_files_get_the_motion_of_what_moves_a_face(tmp_path: Path) -> None:
    for name, group in (("jaw", "shape"), ("lips_pucker", "expression"), ("eye_size", "shape"), ("beard", "beard")):
        header = AttributeHeader(name, name, group, "by hand", 1.0, (0,))
        write_attribute(tmp_path / f"{name}.safetensors", header, shifting(0.1).direction)
    said: list[str] = []
    move_folder(tmp_path, (), studio(), lambda seed, count: codes(count), TINY, said.append)
    motions = {
        path.stem: read_attribute(path, n_codes=TINY.n_codes, code_size=TINY.code_size).motion
        for path in tmp_path.iterdir()
    }
    jaw, lips, eyes = motions["jaw"], motions["lips_pucker"], motions["eye_size"]
    assert jaw is not None and lips is not None and eyes is not None and motions["beard"] is None and len(said) == 3
    np.testing.assert_allclose(jaw[0, :, 0], 0.1, atol=0.01)
    assert lips[0, OUTER_LIPS[0], 0] == pytest.approx(0.1, abs=0.01), "the lips themselves move all of it"
    assert abs(lips[0, 152, 0]) < 0.01, "the chin lies too far from them"
    assert not eyes.any(), "they grow, whatever generated ones do, and these have no extent"
    with pytest.raises(ValueError, match="no attribute 'beard' that moves a face; it has: eye_size, jaw, lips_pucker"):
        move_folder(tmp_path, ["beard"], studio(), lambda seed, count: codes(count), TINY)
