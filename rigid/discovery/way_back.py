"""Gives the attribute of gender a way, there or back, of its own, by what a stream shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np

from rigid.assets.store import AssetStore
from rigid.discovery.directions import level_codes
from rigid.discovery.inside import Critics, find_inside
from rigid.discovery.labels import AGE_MANIFEST, EXPRESSION_MANIFEST, load_labeller
from rigid.discovery.shots import Shot, Shots, take_shots
from rigid.discovery.sitters import Sought
from rigid.edits.attribute_file import read_attribute, rewrite_header
from rigid.edits.attribute_header import FEATURES, AttributeHeader
from rigid.face.alignment import FaceLandmarker
from rigid.files.clips import find_clips
from rigid.models.age_gender import load_age_gender
from rigid.models.build import build_face_parser
from rigid.models.contract import Runtime
from rigid.models.expression import load_expression
from rigid.models.profiles import sizes_of
from rigid.reporting import Say, say_nothing

LEVELS = (1, 2, 3, 4)
SURELY = 0.5
"""Log odds from which a face is taken for male, or below whose negative for female."""
STEPS, RATE = 60, 0.03


def find_way(wanted: Sought, runtime: Runtime, store: AssetStore, side: int, report: Say = say_nothing) -> None:
    """Put the way to `side` into the file `wanted.path`, which is measured in `male`: 1, there, or -1, back.

    As long as it is found. ValueError for a file that is no attribute of this profile, or without faces.
    """
    sizes = sizes_of(wanted.profile)
    stored = read_attribute(wanted.path, n_codes=sizes.n_codes, code_size=sizes.code_size)
    header = stored.header
    changes = {name: float(name in (header.changes or ())) for name in FEATURES}
    others = [shot for shot in _take_shots(wanted, runtime, store) if -side * shot.male > SURELY]
    if not others:
        raise ValueError("No clip shows a face of the other side.")
    shots = Shots.of(others, changes)
    descent = wanted.descend(store, LEVELS, STEPS, RATE, shots.noise)
    length = np.float32(sizes.edit_gain * header.video_gain)
    there, back = (
        stored.direction,
        np.float32(header.opposite) * (-stored.direction if stored.back is None else stored.back),
    )
    # what changes nothing shows nothing that could be followed: it begins with the way that there is
    descent = replace(descent, start=length * (there if side > 0 else back))
    edit = find_inside(descent, load_critics(store), shots, side, report)
    edit /= length * np.float32(header.strength_scale)
    given = {"direction": edit} if side > 0 else {"back": edit}
    rewrite_header(wanted.path, partial(_with_levels, n_codes=sizes.n_codes, side=side), **given)


def _take_shots(wanted: Sought, runtime: Runtime, store: AssetStore) -> Sequence[Shot]:
    if wanted.clips is None:
        raise ValueError("Give clips of aligned faces: what a stream shows is seen on real ones.")
    landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"), blendshapes=True, pose=True)
    with closing(landmarker):
        return list(take_shots(find_clips(wanted.clips, wanted.split), runtime, load_labeller(store, landmarker)))


def load_critics(store: AssetStore) -> Critics:
    """The networks that label faces, as they are."""
    age_gender = load_age_gender(store.file("face-labels", AGE_MANIFEST))
    expression = load_expression(store.file("face-labels", EXPRESSION_MANIFEST))
    return Critics(age_gender.requires_grad_(False), expression.requires_grad_(False), build_face_parser())


def _with_levels(header: AttributeHeader, n_codes: int, side: int) -> AttributeHeader:
    codes = {code for level in LEVELS for code in level_codes(n_codes)[level]}
    layers = tuple(sorted({*header.layers, *codes}))
    return replace(header, layers=layers, opposite=header.opposite if side > 0 else 1.0)
