"""Masks from parser maps that are drawn by hand."""

from __future__ import annotations

import numpy as np

from rigid.arrays import Array
from rigid.composite.edit_masks import SMALL, grow_along_brightness, how_covered, masks_by_landmarks, masks_by_parser
from rigid.models.contract import CLASSES
from tests.worlds import landmarks_in_crop

SIZE = 256
Place = tuple[slice, slice]
FACE: Place = (slice(20, 56), slice(16, 48))
HAIR: Place = (slice(4, 20), slice(12, 52))


def parsed(places: dict[str, Place]) -> Array:
    """A map (C, 64, 64) of background with each of `places` in it, later ones above earlier ones."""
    names = np.full((SMALL, SMALL), CLASSES.index("background"))
    for name, place in places.items():
        names[place] = CLASSES.index(name)
    parts: Array = (names[None] == np.arange(len(CLASSES))[:, None, None]).astype(np.float32)
    return parts


def grown(place: Place, margin: int = 0) -> Place:
    """The same place in a crop of `SIZE`, made smaller by `margin` pixels on every side."""
    rows, columns = (slice(4 * part.start + margin, 4 * part.stop - margin) for part in place)
    return rows, columns


def pair(real: dict[str, Place], edited: dict[str, Place] | None = None) -> Array:
    return np.stack([parsed(real), parsed(real if edited is None else edited)])


PLAIN = {"hair": HAIR, "skin": FACE}
GREY = np.zeros((SIZE, SIZE, 3), np.float32)


def test_the_face_is_what_the_parser_says_softly_inside() -> None:
    mask = masks_by_parser(pair(PLAIN), GREY).face
    assert mask[grown(FACE, 14)].min() > 0.99
    outside = np.ones((SIZE, SIZE), bool)
    outside[grown(FACE)] = False
    assert mask[outside].max() < 0.3, "hair and background keep out"
    assert np.abs(np.diff(mask, axis=0)).max() < 0.25


def test_the_mask_holds_the_inner_faces_of_both() -> None:
    lower: Place = (slice(20, 61), slice(16, 48))
    mask = masks_by_parser(pair(PLAIN, {"hair": HAIR, "skin": lower}), GREY).face
    chin: Place = (slice(230, 238), slice(100, 156))
    assert mask[chin].min() > 0.9 > 0.1 > masks_by_parser(pair(PLAIN), GREY).face[chin].max()


def test_glasses_of_the_edited_face_belong_to_it() -> None:
    beyond: Place = (slice(30, 34), slice(8, 56))
    mask = masks_by_parser(pair(PLAIN, PLAIN | {"glasses": beyond}), GREY).face
    assert mask[128, 44] > 0.5


def test_nothing_is_drawn_where_the_edited_face_leaves_the_background() -> None:
    narrower: Place = (FACE[0], slice(FACE[1].start + 8, FACE[1].stop))
    beside = grown((slice(FACE[0].start + 8, FACE[0].stop - 8), slice(FACE[1].start + 2, FACE[1].start + 6)), 1)
    assert masks_by_parser(pair({"skin": FACE}), GREY).face[beside].mean() > 0.5
    assert masks_by_parser(pair({"skin": FACE}, {"skin": narrower}), GREY).face[beside].max() < 0.1


def test_strands_that_the_edited_face_draws_on_forehead_and_cheek_are_left_out() -> None:
    forehead: Place = (slice(23, 27), slice(24, 40))
    cheek: Place = (slice(36, 48), slice(36, 42))
    chin: Place = (slice(48, 54), slice(26, 34))
    drawn = np.stack([parsed(PLAIN), parsed(PLAIN)])
    for place in (forehead, cheek):
        drawn[1][:, place[0], place[1]] = 0
        drawn[1][CLASSES.index("hair"), place[0], place[1]] = 1
    mask = masks_by_parser(drawn, GREY).face
    for place in (forehead, cheek):
        assert mask[grown(place)].max() < 0.2
    assert mask[grown(chin)].min() > 0.9


def test_hair_is_the_real_ones_and_a_hat_is_none() -> None:
    hat: Place = (slice(4, 12), slice(12, 52))
    masks = masks_by_parser(pair(PLAIN | {"hat": hat}), GREY, covering=np.ones((32, 32), np.float32))
    assert masks.hair[grown((slice(13, 19), slice(16, 48)), 2)].min() > 0.6
    assert masks.hair[grown((slice(4, 9), slice(18, 46)), 2)].max() < 0.1


def test_a_fringe_is_drawn_where_the_edited_face_has_one() -> None:
    fringe: Place = (slice(4, 28), slice(12, 52))
    parts = pair(PLAIN, PLAIN | {"hair": HAIR} | {"skin": FACE, "hair": fringe})
    parts[1] = parsed({"skin": FACE, "hair": fringe})
    forehead = grown((slice(22, 27), slice(20, 44)), 2)
    # what hangs together with it within eight places counts as drawn, too
    left = np.zeros((32, 32), np.float32)
    left[:, :12] = 1
    bare, half, whole = (
        masks_by_parser(parts, GREY, covering).hair[forehead] for covering in (None, left, np.ones_like(left))
    )
    assert bare.mean() < 0.05 and whole.mean() > 0.9
    assert half[:, : half.shape[1] // 3].mean() > 0.9 > 0.1 > half[:, -half.shape[1] // 6 :].mean()


def test_a_hand_before_the_face_is_left_alone() -> None:
    hand: Place = (slice(40, 56), slice(16, 32))
    parts = pair(PLAIN | {"other": hand})
    masks = masks_by_parser(parts, GREY)
    assert masks.free[grown(hand, 4)].max() < 0.01
    assert masks.free[grown((slice(20, 36), slice(16, 48)))].min() > 0.99
    assert 0.1 < how_covered(parts[0]) < 0.5
    assert how_covered(parsed(PLAIN)) == 0
    assert how_covered(parsed({})) == 0


def test_along_the_crops_border_nothing_is_edited() -> None:
    everywhere: Place = (slice(0, SMALL), slice(0, SMALL))
    for name in ("skin", "hair"):
        masks = masks_by_parser(pair({name: everywhere}), GREY)
        mask = masks.face if name == "skin" else masks.hair
        assert not mask[[0, -1]].any() and not mask[:, [0, -1]].any() and mask[SIZE // 2, SIZE // 2] > 0.9


def test_the_edge_of_hair_is_where_the_picture_has_one() -> None:
    """Dark hair before a light wall; the map's edge lies four pixels off."""
    picture = np.full((SIZE, SIZE, 3), 0.8, np.float32)
    picture[:, :124] = -0.8
    share = np.zeros((SMALL, SMALL), np.float32)
    share[:, :32] = 1
    mask = grow_along_brightness(share, picture)
    assert mask[100:150, 100:123].min() > 0.8
    assert mask[100:150, 132:].max() < 0.25
    plain = grow_along_brightness(share, GREY)
    assert abs(plain[128, 127] - 0.5) < 0.1, "without an edge in the picture, the map's own"


def test_the_landmarks_alone_tell_face_and_hair_apart() -> None:
    masks = masks_by_landmarks(landmarks_in_crop(SIZE), SIZE)
    assert masks.face[140, 128] == 1 and masks.hair[140, 128] == 0
    assert masks.free.min() == 1
    assert masks.hair.max() == 1


def test_a_beard_of_the_edited_face_goes_on_below_the_jaw() -> None:
    neck: Place = (slice(42, 62), slice(24, 40))
    shorter = PLAIN | {"skin": (slice(20, 42), slice(16, 48))}
    low: Place = (slice(180, 200), slice(110, 146))
    bare = masks_by_parser(pair({"neck": neck} | shorter), GREY).face
    assert bare[low].min() > 0.9
    assert np.abs(np.diff(bare[200:240, 128])).max() < 0.06, "it fades, and ends nowhere"
    collar = masks_by_parser(pair({"neck": neck} | shorter, {"cloth": neck} | shorter), GREY).face
    assert collar[low].max() < 0.1, "another collar than the real one is not drawn"
