"""Where an edit of the hair finds the real hair, and what it adds to it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.blend import forehead_mask, hair_mask, oval_mask, polygon_mask
from rigid.composite import Compositor
from rigid.hair import Dye, dyed, reached
from rigid.reach import Reach
from tests.worlds import landmarks_in_crop

SIZE = 256
LANDMARKS = landmarks_in_crop(SIZE)
FACE = oval_mask(LANDMARKS, SIZE) > 0.5
SKIN, DARK, WALL, LIGHT = ((0.4, 0.1, 0.0), (-0.8, -0.8, -0.85), (0.0, 0.2, 0.6), (0.4, 0.3, 0.0))
Crop = NDArray[np.float32]
Area = NDArray[np.bool_]


def head(rise: float, colour: tuple[float, float, float] = DARK) -> Crop:
    """A face before a wall, with a cap of hair that ends `rise` of the face's height above it."""
    picture = np.full((SIZE, SIZE, 3), WALL, np.float32)
    picture[cap(rise)] = colour
    picture[FACE] = SKIN
    return picture


def cap(rise: float) -> Area:
    """The upper half of the face's outline, drawn out by `rise` of the face's height on all sides."""
    rows, columns = np.nonzero(FACE)
    centre, radii = np.array([columns.mean(), rows.mean()]), np.array([np.ptp(columns), np.ptp(rows)]) / 2
    angles = np.linspace(0, 2 * np.pi, 60)
    outline = centre + (radii + rise * 2 * radii[1]) * np.column_stack((np.cos(angles), np.sin(angles)))
    inside: Area = polygon_mask(outline, SIZE) > 0.5
    inside &= (np.arange(SIZE) < centre[1])[:, None]
    return inside


def dye_of(real: Crop, inverted: Crop, edited: Crop) -> Dye:
    return dyed(real, inverted, edited, LANDMARKS)


def shown(dye: Dye, real: Crop) -> Crop:
    return real + dye.matte[..., None] * dye.change


def deep(area: Area, by: int) -> Area:
    """`area` less what lies within `by` pixels of its edge, up, down, left or right."""
    moved = [np.roll(area, step, axis) for axis in (0, 1) for step in (-by, by)]
    inside: Area = np.logical_and.reduce([area, *moved])
    return inside


def test_the_real_hair_is_dyed_up_to_its_own_outline() -> None:
    for generated in (0.14, 0.22):  # smaller, and larger than the real hair
        dye = dye_of(head(0.18), head(generated), head(generated, LIGHT))
        hair, wall = cap(0.18) & ~FACE & (hair_mask(LANDMARKS, SIZE) > 0.9), ~cap(0.18) & ~FACE
        assert dye.matte[deep(hair, 6)].mean() > 0.9 and dye.matte[deep(wall, 6)].max() < 0.15
        after = shown(dye, head(0.18))[deep(hair, 6)].mean(0)
        assert np.abs(after - LIGHT).max() < 0.15, "as light as the generator's"


def test_skin_and_wall_keep_their_colours_though_the_edit_changes_them() -> None:
    edited = head(0.18, LIGHT) + np.float32(0.15)
    dye = dye_of(head(0.18), head(0.18), edited)
    change = np.abs(shown(dye, head(0.18)) - head(0.18)).max(2)
    assert change[deep(FACE, 8)].max() < 0.05 and change[deep(~FACE & ~cap(0.18), 8)].max() < 0.05


def test_the_real_hair_gets_the_generated_strands() -> None:
    stripes = np.where(np.arange(SIZE) % 8 < 4, 0.1, -0.1).astype(np.float32)[None, :, None]
    edited = head(0.18, LIGHT) + stripes
    row, columns = np.nonzero(deep(cap(0.18) & ~FACE, 10))
    after = shown(dye_of(head(0.18), head(0.18), edited), head(0.18)).mean(2)
    light = stripes[0, columns, 0] > 0
    assert after[row[light], columns[light]].mean() - after[row[~light], columns[~light]].mean() > 0.1


def test_an_edit_that_leaves_the_hair_dyes_nothing() -> None:
    edited = head(0.18)
    edited[FACE] += np.float32(0.5)
    assert dye_of(head(0.18), head(0.18), edited).matte.max() < 0.02
    assert not dye_of(head(0.18), head(0.18), head(0.18)).matte.any()


def test_what_lies_far_from_the_hair_is_not_dyed_whatever_its_colour() -> None:
    real = head(0.18)
    real[-40:] = DARK  # a coat as dark as the hair
    matte = dye_of(real, head(0.18), head(0.18, LIGHT)).matte
    assert matte[-30:].max() < 0.05 < hair_mask(LANDMARKS, SIZE)[: SIZE // 2].max()


def changed_by(reach: Reach, edited: Crop) -> Crop:
    """What the transfer composite makes of an edit of a head by `reach`, less the head."""
    real = head(0.18)
    return Compositor()(real, real, edited, LANDMARKS, reach).over(real) - real


def test_the_transfer_dyes_the_hair_and_leaves_the_face_to_edits_that_are_meant_for_it() -> None:
    edited = head(0.18, LIGHT)
    edited[FACE] += np.float32(0.2)
    for face in (0.0, 1.0):
        change = changed_by(Reach(mouth=0.0, hair=1.0, face=face), edited)
        assert change[deep(cap(0.18) & ~FACE, 12)].mean() > 0.8
        assert change[deep(FACE, 40)].mean() == pytest.approx(0.2 * face, abs=0.03)
    assert not changed_by(Reach(mouth=0.0, hair=0.0), edited)[deep(~FACE, 30)].any(), "without one, not at all"


def test_half_an_edit_of_the_hair_dyes_half() -> None:
    whole, half = (changed_by(Reach(mouth=0.0, hair=hair, face=0.0), head(0.18, LIGHT)) for hair in (1.0, 0.5))
    np.testing.assert_allclose(half, whole / 2, atol=2e-3)


def test_hair_that_covers_the_forehead_is_the_generators() -> None:
    edited = head(0.18, LIGHT)
    edited[forehead_mask(LANDMARKS, SIZE) > 0.5] = LIGHT
    change = changed_by(Reach(mouth=0.0, forehead=1.0, hair=1.0, face=0.0), edited)
    fringe = deep(FACE & (forehead_mask(LANDMARKS, SIZE) > 0.5), 12)
    assert np.abs((head(0.18) + change)[fringe] - LIGHT).mean() < 0.1
    assert change[deep(cap(0.18) & ~FACE, 12)].mean() > 0.6


def test_below_a_fringe_the_face_is_edited_without_the_hair() -> None:
    edited = head(0.18, LIGHT)
    edited[forehead_mask(LANDMARKS, SIZE) > 0.5] = LIGHT
    real, bare = head(0.18), head(0.18)
    edited[FACE & (forehead_mask(LANDMARKS, SIZE) < 0.5)] += np.float32(0.3)
    bare[FACE] -= np.float32(0.2)
    chin = deep(FACE, 40) & (np.arange(SIZE) > 170)[:, None]
    fringe = deep(FACE & (forehead_mask(LANDMARKS, SIZE) > 0.5), 12)
    for face, at_chin in ((1.0, -0.2), (0.0, 0.0)):
        reach = Reach(mouth=0.0, forehead=1.0, hair=1.0, face=face)
        shown = Compositor()(real, real, edited, LANDMARKS, reach, bare).over(real)
        assert (shown - real)[chin].mean() == pytest.approx(at_chin, abs=0.04)
        assert np.abs(shown[fringe] - LIGHT).mean() < 0.1


def reach_of(hair_change: float, elsewhere: float) -> NDArray[np.float32]:
    """How far an edit reaches that changes the upper middle, where the hair is, and the rest of the picture."""
    inverted = np.full((SIZE, SIZE, 3), -0.8, np.float32)
    edited = inverted + np.float32(elsewhere)
    edited[20:90, 60:196] = inverted[20:90, 60:196] + np.float32(hair_change)
    hair = np.zeros((SIZE, SIZE), np.float32)
    hair[10:130, 40:216] = 1
    return reached(inverted, edited, hair)


def test_it_reaches_as_far_as_the_hair_is_what_changes() -> None:
    for change in (0.3, 0.8):
        reach = reach_of(change, 0.2 * change)
        assert reach[40:70, 90:160].min() > 0.99 and reach[140:].max() < 0.01, "in shares of the largest change"
    assert not reach_of(0.05, 0.0).any(), "what any edit stirs up"


def test_a_slight_shift_of_the_whole_picture_is_no_change_of_the_hair() -> None:
    reach = reach_of(-0.25, -0.1)
    assert reach[40:70, 90:160].min() > 0.9 and reach[150:].max() < 0.01
    assert not reach_of(-0.1, -0.1).any()
