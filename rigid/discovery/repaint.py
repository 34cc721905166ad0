"""Gives an attribute of a colour the edit that comes closest to paint, as long as its target asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.discovery.calibrate import Aim, Faces, find_scale
from rigid.discovery.directions import level_codes
from rigid.discovery.painted import PAINTS, find_painted
from rigid.discovery.recipes import Recipe
from rigid.discovery.run import open_studio
from rigid.discovery.samples import BATCH, Studio
from rigid.discovery.sitters import Sitters, Sought
from rigid.discovery.video_gain import RECIPE_OF
from rigid.edits.attribute_file import read_attribute, write_attribute
from rigid.models.build import build_face_parser
from rigid.models.profiles import sizes_of
from rigid.reporting import Say, say_nothing

LEVELS = (3, 4)
SITTERS = 96
STEPS, RATE = 100, 0.05
MEASURED_SEED, MEASURED = 6_000_000, 48
"""Faces that the edit's length is measured on."""


def repaint(wanted: Sought, store: AssetStore, report: Say = say_nothing) -> None:
    """Put a painted edit into the file `wanted.path` in place of its own; one length serves video, too.

    ValueError for a file that is no attribute of this profile or one that is not painted, and where no length of the
    edit reaches the target.
    """
    sizes = sizes_of(wanted.profile)
    header = read_attribute(wanted.path, n_codes=sizes.n_codes, code_size=sizes.code_size).header
    if header.name not in PAINTS:
        raise ValueError(f"{header.name} is not painted; these are: {', '.join(PAINTS)}.")
    recipe = RECIPE_OF[header.name]
    with open_studio(wanted.profile, store) as (studio, _, held_out):
        faces = wanted.draw_faces(studio, held_out, SITTERS)
        descent = wanted.descend(store, LEVELS, STEPS, RATE)
        edit = find_painted(descent, faces, _parse(faces), PAINTS[header.name], report)
        scale = _find_length(studio, Faces.make_found(studio, held_out(MEASURED_SEED, MEASURED)), edit, recipe)
    report(f"{header.name}: {scale:.2f} times as long as it was painted")
    header = replace(
        header,
        source=f"painted on {len(faces.codes)} faces",
        strength_scale=scale,
        opposite=1.0,
        layers=tuple(code for level in LEVELS for code in level_codes(sizes.n_codes)[level]),
        target=recipe.change,
        video_gain=1.0,
    )
    write_attribute(wanted.path, header, edit)


@torch.no_grad()
def _parse(faces: Faces) -> Array:
    parser, pictures = build_face_parser(), Sitters(faces).pictures
    return np.concatenate([parser(pictures[i : i + BATCH]).numpy() for i in range(0, len(pictures), BATCH)])


def _find_length(studio: Studio, faces: Faces, edit: Array, recipe: Recipe) -> float:
    column = studio.column(recipe.measure)
    with_room = faces.where(np.flatnonzero(faces.measures[:, column] <= recipe.ceiling))
    found = find_scale(studio, with_room, edit, Aim(column, recipe.change), 1.0)
    if found is None:
        raise ValueError(f"No length of the painted edit changes {recipe.measure} by {recipe.change:g}.")
    return found[0]
