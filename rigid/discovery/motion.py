"""How an attribute moves the landmarks of generated faces, for `rigid.composite.reshaping` to move real pixels by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array
from rigid.discovery.observe import BROW_POINTS
from rigid.discovery.recipes import RECIPES
from rigid.discovery.samples import DrawCodes, Studio
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_file import rewrite_header
from rigid.edits.library import load_attribute
from rigid.face.landmarks import LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from rigid.models.contract import Sizes
from rigid.reporting import Say, say_nothing

MOVES = {recipe.name: recipe.moves for recipe in RECIPES if recipe.moves}
"""What each attribute that moves a face moves."""
FEATURES: dict[str, Sequence[int] | NDArray[np.int_]] = {"brows": BROW_POINTS, "lips": OUTER_LIPS}
"""What moves alone where an attribute moves no more than that."""
FADE_WIDTH = 0.025
"""Crop sides over which motion fades away from a feature."""
GROWTH = 0.25
"""Share by which eyes grow at a `motion_gain` of 1, before the field smooths it to about half."""
MOTION_FACES, MOTION_SEED = 48, 7_000_000
"""Generated faces that motion is the mean of. On 40, the mean is 60 to 90% of the motion of each of them, squared."""
FEWEST_FACES = 8


class Landmarks:
    """Generated faces whose landmarks are known, from their codes alone."""

    def __init__(self, studio: Studio, codes: Array) -> None:
        """`codes` (N, n_codes, 512); faces that are not found are left out."""
        self._studio = studio
        places = self._of(codes)
        found = np.isfinite(places).all((1, 2))
        self._codes, self._places = codes[found], places[found]

    def motion(self, attribute: Attribute, n_early: int) -> Array:
        """The landmarks' mean motion at strength 1 and at -1, (2, 478, 2) in crop sides.

        Zero for -1 where the attribute has one way only. `n_early`: how many codes a stream edits. ValueError when
        too few of the faces are found again.
        """
        forth = self._move(attribute, 1.0, n_early)
        back = self._move(attribute, -1.0, n_early) if attribute.min < 0 else np.zeros_like(forth)
        return np.stack((forth, back))

    def motion_of(self, attribute: Attribute, n_early: int) -> Array:
        """What the attribute's recipe says that it moves, as `motion`."""
        moves = MOVES[attribute.name]
        if moves == "eyes":
            return self.growing_eyes()
        motion = self.motion(attribute, n_early)
        return motion * self.near(FEATURES[moves]) if moves in FEATURES else motion

    def near(self, feature: Sequence[int] | NDArray[np.int_]) -> Array:
        """How near each landmark is to those of `feature`, (478, 1), 1 to 0."""
        mean = self._places.mean(0)
        apart = np.linalg.norm(mean[:, None] - mean[list(feature)], axis=-1).min(1, keepdims=True)
        weight: Array = np.exp(-np.square(apart / FADE_WIDTH) / 2).astype(np.float32)
        return weight

    def growing_eyes(self) -> Array:
        """Both eyes grown by `GROWTH`, and shrunk by half of it, as motion (2, 478, 2).

        Generated faces get larger eyes by getting narrower, which is not what someone who asks for larger eyes wants.
        """
        mean = self._places.mean(0)
        grown = np.zeros_like(mean)
        for eye in (LEFT_EYE, RIGHT_EYE):
            grown += GROWTH * self.near(eye) * (mean - mean[eye].mean(0))
        return np.stack((grown, -grown / 2)).astype(np.float32)

    def _move(self, attribute: Attribute, strength: float, n_early: int) -> Array:
        codes = self._codes.copy()
        codes[:, :n_early] += attribute.offset(strength, self._codes)[..., :n_early, :]
        moved = self._of(codes) - self._places
        found = np.isfinite(moved).all((1, 2))
        if found.sum() < FEWEST_FACES:
            raise ValueError(f"{attribute.name} at {strength:g} leaves {found.sum()} of {len(found)} faces.")
        mean: Array = moved[found].mean(0)
        return mean

    def _of(self, codes: Array) -> Array:
        """(N, 478, 2) in crop sides, NaN where there is no face."""
        pictures = self._studio.photograph(codes)
        places: Array = self._studio.labeller.observe(pictures)["landmarks"] / np.float32(pictures.shape[1])
        return places


def move_folder(
    folder: Path,
    names: Sequence[str],
    studio: Studio,
    draw: DrawCodes,
    sizes: Sizes,
    report: Say = say_nothing,
) -> None:
    """Put the motion of the attributes in `folder` into their files.

    `names`: which; all that have one (`Recipe.moves`) when empty. `draw`: held-out codes. ValueError for a name that is
    not there.
    """
    paths = {path.stem: path for path in sorted(folder.glob("*.safetensors")) if path.stem in MOVES}
    for name in names:
        if name not in paths:
            raise ValueError(f"{folder} has no attribute {name!r} that moves a face; it has: {', '.join(paths)}.")
    faces = Landmarks(studio, draw(MOTION_SEED, MOTION_FACES))
    for name in names or paths:
        attribute = load_attribute(paths[name], n_codes=sizes.n_codes, code_size=sizes.code_size)
        motion = faces.motion_of(attribute, sizes.n_codes - sizes.n_shared_codes)
        furthest = float(np.hypot(motion[..., 0], motion[..., 1]).max())
        report(f"{name}: moves a landmark by at most {furthest:.3f} of the crop's side")
        rewrite_header(paths[name], lambda header: header, motion)
