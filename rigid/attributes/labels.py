"""What can be seen in a generated face, as numbers: expression, pose, age, gender, glasses, light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from rigid.geometry import resample, similarity
from rigid.models.age_gender import INPUT_SIZE, AgeGenderNet

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]

BLENDSHAPES = {
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "mouth_open": ("jawOpen",),
    "pucker": ("mouthPucker",),
    "eyes_closed": ("eyeBlinkLeft", "eyeBlinkRight"),
    "brow_up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
}
MEASURES = (*BLENDSHAPES, "lips_gap", "face_width", "yaw", "pitch", "roll", "age", "male", "glasses", "light")
"""smile … brow_up: mean blendshape, 0 to 1. lips_gap: between the inner lips, in eye distances. face_width: of
cheeks and jaw, likewise. yaw, pitch, roll: degrees. age: years. male: a logit. glasses: 0 to 1, whether there are
any. light: mean luma of the face, 0 to 1."""

BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
CHIN = 152
INNER_CORNERS = (133, 362)
OUTER_CORNERS = (33, 263)
INNER_LIPS = (13, 14)
CHEEKS = (234, 454)
JAW_CORNERS = (172, 397)


class LabelledFace(Protocol):
    """What the landmarker says of one face."""

    @property
    def landmarks(self) -> Array:
        """(478, 2) in frame pixels."""

    @property
    def blendshapes(self) -> dict[str, float]:
        """The 52 blendshapes by name, 0 to 1."""

    @property
    def pose(self) -> Array | None:
        """The (4, 4) transform from the canonical face to the camera (x right, y up)."""


class Landmarker(Protocol):
    """Finds faces; `rigid.align.FaceLandmarker` with blendshapes and pose is one."""

    def reset(self) -> None:
        """Forget the last picture."""

    def detect(self, frame: Bytes, timestamp_ms: int) -> Sequence[LabelledFace]:
        """The faces in `frame` (H, W, 3) RGB."""


class Labeller(Protocol):
    """Turns pictures into measures."""

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the columns."""

    def __call__(self, images: Bytes) -> Array:
        """RGB (B, S, S, 3) → (B, n_measures); a row of NaN where there is no face."""


class FaceLabeller:
    """The measures of `MEASURES` for aligned faces."""

    measures = MEASURES

    def __init__(self, landmarker: Landmarker, age_gender: AgeGenderNet) -> None:
        self._landmarker = landmarker
        self._age_gender = age_gender
        self._timestamp_ms = 0

    def __call__(self, images: Bytes) -> Array:
        return np.stack([self._label(image) for image in images])

    def _label(self, image: Bytes) -> Array:
        self._landmarker.reset()
        # far apart in time, so that nothing takes two people for one
        self._timestamp_ms += 10_000
        faces = self._landmarker.detect(image, self._timestamp_ms)
        if not faces or faces[0].pose is None:
            return np.full(len(MEASURES), np.nan, np.float32)
        face = faces[0]
        shapes = [float(np.mean([face.blendshapes[n] for n in names])) for names in BLENDSHAPES.values()]
        values = (
            *shapes,
            lips_gap(face.landmarks),
            face_width(face.landmarks),
            *head_angles(faces[0].pose),
            *self._age_and_gender(image, face.landmarks),
            glasses(image, face.landmarks),
            face_light(image, face.landmarks),
        )
        return np.array(values, np.float32)

    def _age_and_gender(self, image: Bytes, landmarks: Array) -> tuple[float, float]:
        crop = face_crop(image, landmarks, INPUT_SIZE)
        age, male = self._age_gender(torch.from_numpy(crop).permute(2, 0, 1)[None].float())
        return float(age), float(male)


def head_angles(pose: Array) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees from a (4, 4) pose.

    Positive: turned towards the right edge of the picture, chin up, tilted clockwise as seen.
    """
    rotation = np.asarray(pose, np.float64)[:3, :3]
    rotation = rotation / np.linalg.norm(rotation, axis=0, keepdims=True)
    yaw = math.atan2(rotation[0, 2], rotation[2, 2])
    pitch = math.asin(float(np.clip(rotation[1, 2], -1, 1)))
    roll = -math.atan2(rotation[1, 0], rotation[1, 1])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def face_crop(image: Bytes, landmarks: Array, size: int) -> Bytes:
    """The square round brows, chin and cheeks plus a tenth, as the age net was trained on: (size, size, 3)."""
    left, right = landmarks[:, 0].min(), landmarks[:, 0].max()
    top, bottom = landmarks[list(BROWS), 1].min(), landmarks[CHIN, 1]
    centre = ((left + right) / 2, (top + bottom) / 2)
    return _square(image, centre, 1.2 * max(right - left, bottom - top), size)


def lips_gap(landmarks: Array) -> float:
    """Distance between the inner lips over that between the outer eye corners."""
    return _distance(landmarks, INNER_LIPS) / max(_distance(landmarks, OUTER_CORNERS), 1e-6)


def face_width(landmarks: Array) -> float:
    """Mean width of cheeks and jaw over the distance between the outer eye corners."""
    width = (_distance(landmarks, CHEEKS) + _distance(landmarks, JAW_CORNERS)) / 2
    return width / max(_distance(landmarks, OUTER_CORNERS), 1e-6)


def _distance(landmarks: Array, pair: tuple[int, int]) -> float:
    return float(np.linalg.norm(landmarks[pair[1]] - landmarks[pair[0]]))


def glasses(image: Bytes, landmarks: Array) -> float:
    """Whether there are glasses, 0 to 1, from the edges that run across the bridge of the nose as theirs do.

    On generated faces the mean |d/dy| of luma there is about 1 % of the range without glasses and 3-8 % with.
    """
    inner = landmarks[list(INNER_CORNERS)].mean(0)
    width = float(np.linalg.norm(landmarks[INNER_CORNERS[1]] - landmarks[INNER_CORNERS[0]]))
    patch = cv2.cvtColor(_square(image, (inner[0], inner[1]), 0.6 * width, 16), cv2.COLOR_RGB2GRAY)
    percent = float(np.abs(np.diff(patch.astype(np.float32), axis=0)).mean() / 2.55)
    return 1 / (1 + math.exp(-3 * (percent - 2.5)))


def face_light(image: Bytes, landmarks: Array) -> float:
    """Mean luma, 0 to 1, of the square between the outer eye corners and below."""
    corners = landmarks[list(OUTER_CORNERS)]
    width = float(np.linalg.norm(corners[1] - corners[0]))
    centre = corners.mean(0) + np.array([0.0, 0.3 * width])
    patch = _square(image, (centre[0], centre[1]), width, 32)
    return float(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).mean() / 255)


def _square(image: Bytes, centre: tuple[float, float], side: float, size: int) -> Bytes:
    """The upright square of `side` pixels round `centre`, resampled to `size`."""
    transform = similarity(np.array(centre), max(float(side), 1.0), 0.0, (size, size))
    return resample(image, transform, (size, size))
