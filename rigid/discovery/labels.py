"""What can be seen in a generated face, as numbers: expression, pose, proportions, colours, looks."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Protocol

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.discovery import looks as looks_module
from rigid.discovery import regions, shapes
from rigid.discovery.looks import LookClassifier, describe, read_looks
from rigid.discovery.observe import BLENDSHAPES, Landmarker, Observer, Seen
from rigid.models.age_gender import load_age_gender
from rigid.models.expression import EXPRESSIONS, load_expression

SHAPES = {
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "mouth_open": ("jawOpen",),
    "pucker": ("mouthPucker",),
    "eyes_closed": ("eyeBlinkLeft", "eyeBlinkRight"),
    "squint": ("eyeSquintLeft", "eyeSquintRight"),
    "brow_up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "brow_down": ("browDownLeft", "browDownRight"),
    "surprise": ("browInnerUp", "browInnerUp", "jawOpen", "jawOpen", "eyeWideLeft", "eyeWideRight"),
}
EXPRESSION_MEASURES = ("sad", "angry", "surprised")
UNITS = {
    **dict.fromkeys(SHAPES, "of the blendshape"),
    "lips_gap": "eye distances",
    "face_width": "eye distances",
    "jaw": "of the cheeks' width",
    "nose_size": "eye distances",
    "lip_size": "eye distances",
    "eye_opening": "of an eye's width",
    "eye_size": "of the face's width",
    "yaw": "°",
    "pitch": "°",
    "roll": "°",
    "age": "years",
    "male": "log odds",
    **dict.fromkeys(EXPRESSION_MEASURES, "of the classifier's certainty"),
    "light": "of full luma",
    "tan": "° of typology angle, darker",
    "rosiness": "of a* beside plain skin",
    "lip_colour": "of a* beside skin",
    "eye_shadow": "of L* beside skin",
    "hair_lightness": "of L*",
    "hair_redness": "of a*",
    "hair_yellowness": "of b*",
    "made_up": "log odds",
    "blondness": "log odds",
    "darkness": "log odds",
    "greyness": "log odds",
    "bearded": "log odds",
}
GEOMETRY = {
    "lips_gap": shapes.lips_gap,
    "face_width": shapes.face_width,
    "jaw": shapes.jaw_width,
    "nose_size": shapes.nose_size,
    "lip_size": shapes.lip_size,
    "eye_opening": shapes.eye_opening,
    "eye_size": shapes.eye_size,
}
LOOK_UNIT = "of the classifier's certainty"
ODDS = {"made_up": "makeup", "blondness": "blond", "darkness": "dark", "greyness": "grey", "bearded": "beard"}
"""Looks that are measured in log odds as well: of a face without a trace of one, certainty hardly shows a change."""
AGE_MANIFEST = "age_gender_model-weights_manifest.json"
EXPRESSION_MANIFEST = "face_expression_model-weights_manifest.json"


class Labeller(Protocol):
    """Turns pictures into measures."""

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the columns."""

    def __call__(self, images: Pixels) -> Array:
        """RGB (B, S, S, 3) → (B, n_measures); a row of NaN where there is no face."""


class StagedLabeller(Labeller, Protocol):
    """Keeps what is slow to see apart, so that measures can be taken anew."""

    @property
    def version(self) -> str:
        """Changes whenever what was seen may be measured otherwise."""

    def observe(self, images: Pixels) -> Seen:
        """RGB (B, S, S, 3) → arrays with a row a picture, NaN where there is no face."""

    def measure(self, images: Pixels, seen: Seen) -> Array:
        """Pictures and what was seen in them → (B, n_measures); a row of NaN where there is no face."""


class FaceLabeller:
    """The measures of `UNITS` for aligned faces, then the looks of `looks`, each as a probability."""

    def __init__(self, observer: Observer, looks: LookClassifier) -> None:
        self.observe = observer.__call__
        self._looks = looks

    @property
    def measures(self) -> tuple[str, ...]:
        return (*UNITS, *self._looks.names)

    @cached_property
    def version(self) -> str:
        digest = hashlib.sha256(repr(self.measures).encode())
        for module in (regions, shapes, looks_module, sys.modules[__name__]):
            digest.update(inspect.getsource(module).encode())
        for array in (self._looks.mean, self._looks.spread, self._looks.weights, self._looks.bias):
            digest.update(array.tobytes())
        return digest.hexdigest()[:8]

    def __call__(self, images: Pixels) -> Array:
        return self.measure(images, self.observe(images))

    def measure(self, images: Pixels, seen: Seen) -> Array:
        """RGB (B, S, S, 3) with what `observe` saw in them → (B, n_measures)."""
        return np.stack([self._measure(image, _row(seen, i)) for i, image in enumerate(images)])

    def _measure(self, image: Pixels, seen: Seen) -> Array:
        landmarks = seen["landmarks"]
        if not np.isfinite(landmarks).all():
            return np.full(len(self.measures), np.nan, np.float32)
        logits = np.clip(self._looks.logits(describe(image, landmarks)[None])[0], -30, 30)
        chances = 1 / (1 + np.exp(-logits))
        values = {**_expression(seen), **_proportions(landmarks), **_classify(seen), **_colours(image, landmarks)}
        looks = dict(zip(self._looks.names, logits.tolist(), strict=True))
        values |= {name: looks.get(look, 0.0) for name, look in ODDS.items()}  # none while no looks are learned
        return np.array([*(values[name] for name in UNITS), *chances], np.float32)


def load_labeller(store: AssetStore, landmarker: Landmarker, looks: LookClassifier | None = None) -> FaceLabeller:
    """The labeller with its networks, and with the learned `looks` unless others are given.

    `landmarker` must give blendshapes and pose.
    """
    age_gender = load_age_gender(store.file("face-labels", AGE_MANIFEST))
    expression = load_expression(store.file("face-labels", EXPRESSION_MANIFEST))
    return FaceLabeller(Observer(landmarker, age_gender, expression), looks or read_looks())


def _row(seen: Seen, index: int) -> Seen:
    return {name: array[index] for name, array in seen.items()}


def _expression(seen: Seen) -> dict[str, float]:
    values = dict(zip(BLENDSHAPES, seen["blendshapes"].tolist(), strict=True))
    found = {name: float(np.mean([values[shape] for shape in names])) for name, names in SHAPES.items()}
    logits = seen["expressions"] - seen["expressions"].max()
    certain = dict(zip(EXPRESSIONS, (np.exp(logits) / np.exp(logits).sum()).tolist(), strict=True))
    return found | {name: certain[name] for name in EXPRESSION_MEASURES}


def _proportions(landmarks: Array) -> Mapping[str, float]:
    return {name: measure(landmarks) for name, measure in GEOMETRY.items()}


def _classify(seen: Seen) -> dict[str, float]:
    yaw, pitch, roll = seen["angles"].tolist()
    age, male = seen["age_gender"].tolist()
    return {"yaw": yaw, "pitch": pitch, "roll": roll, "age": age, "male": male}


def _colours(image: Pixels, landmarks: Array) -> dict[str, float]:
    lab = regions.lab_of(image)
    hair = regions.hair_colour(lab, landmarks).tolist()
    return {
        "light": regions.face_light(image, landmarks),
        "tan": -regions.typology_angle(regions.skin_colour(lab, landmarks)),
        "rosiness": regions.rosiness(lab, landmarks),
        "lip_colour": regions.lip_colour(lab, landmarks),
        "eye_shadow": regions.eye_shadow(lab, landmarks),
        **dict(zip(("hair_lightness", "hair_redness", "hair_yellowness"), hair, strict=True)),
    }


def unit_of(measure: str) -> str:
    """What a measure's numbers are counted in."""
    return UNITS.get(measure, LOOK_UNIT)
