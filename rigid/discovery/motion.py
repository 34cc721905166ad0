"""How an attribute moves the landmarks of generated faces, for `rigid.composite.reshaping` to move real pixels by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rigid.arrays import Array
from rigid.discovery.pulls import PULLS, Feature, near
from rigid.discovery.recipes import RECIPES
from rigid.discovery.samples import DrawCodes, Studio
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_file import rewrite_header
from rigid.edits.library import load_attribute
from rigid.face.landmarks import OUTER_LIPS
from rigid.models.contract import Sizes
from rigid.reporting import Say, say_nothing

MOVES = {recipe.name: recipe.moves for recipe in RECIPES if recipe.moves}
"""What each attribute that moves a face moves."""
FEATURES: dict[str, Feature] = {"lips": OUTER_LIPS}
"""What moves alone where an attribute moves no more than that."""
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
        moves, mean = MOVES[attribute.name], self._places.mean(0)
        if moves in PULLS:
            return PULLS[moves](mean)
        motion = self.motion(attribute, n_early)
        return motion * near(mean, FEATURES[moves]) if moves in FEATURES else motion

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
