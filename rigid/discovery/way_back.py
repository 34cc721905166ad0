"""Gives the attribute of gender a way back of its own, found inside the face alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from rigid.assets.store import AssetStore
from rigid.discovery.directions import level_codes
from rigid.discovery.inside import Critics, find_inside
from rigid.discovery.labels import AGE_MANIFEST, EXPRESSION_MANIFEST
from rigid.discovery.run import open_studio
from rigid.discovery.sitters import Sitters, Sought
from rigid.edits.attribute_file import read_attribute, rewrite_header
from rigid.edits.attribute_header import AttributeHeader
from rigid.models.age_gender import load_age_gender
from rigid.models.expression import load_expression
from rigid.models.profiles import sizes_of
from rigid.reporting import Say, say_nothing

LEVELS = (1, 2, 3, 4)
SURELY = 0.5
"""Log odds from which a face is taken for male."""
SITTERS = 160
STEPS, RATE = 55, 0.02


def find_way_back(wanted: Sought, store: AssetStore, report: Say = say_nothing) -> None:
    """Put the way back into the file `wanted.path`, which is measured in `male`.

    As long as it is found; its `opposite` makes up for the file's `video_gain`, which is that of the way there.
    ValueError for a file that is no attribute of this profile.
    """
    sizes = sizes_of(wanted.profile)
    header = read_attribute(wanted.path, n_codes=sizes.n_codes, code_size=sizes.code_size).header
    with open_studio(wanted.profile, store) as (studio, _, held_out):
        faces = wanted.draw_faces(studio, held_out, SITTERS)
        male = faces.measures[:, studio.column("male")]
    sitters = Sitters(faces.where(np.flatnonzero(male > SURELY)))
    descent = wanted.descend(store, LEVELS, STEPS, RATE)
    edit = find_inside(descent, load_critics(store), sitters, report)
    rewrite_header(wanted.path, partial(_with_back, n_codes=sizes.n_codes), back=edit / header.strength_scale)


def load_critics(store: AssetStore) -> Critics:
    """The networks that label faces, as they are."""
    age_gender = load_age_gender(store.file("face-labels", AGE_MANIFEST))
    expression = load_expression(store.file("face-labels", EXPRESSION_MANIFEST))
    return Critics(age_gender.requires_grad_(False), expression.requires_grad_(False))


def _with_back(header: AttributeHeader, n_codes: int) -> AttributeHeader:
    codes = {code for level in LEVELS for code in level_codes(n_codes)[level]}
    layers = tuple(sorted({*header.layers, *codes}))
    return replace(header, opposite=round(1 / header.video_gain, 3), layers=layers)
