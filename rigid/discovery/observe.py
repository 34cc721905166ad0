"""What the slow eyes see in a face: landmarks, blendshapes, pose, age, gender, expression. Measures come from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from rigid.arrays import Array, Pixels
from rigid.face.faces import Face
from rigid.face.landmarks import CHIN, N_LANDMARKS
from rigid.geometry import square
from rigid.models.age_gender import INPUT_SIZE, AgeGenderNet
from rigid.models.expression import EXPRESSIONS, ExpressionNet

Seen = dict[str, Array]
"""Arrays with a row for each picture, NaN where there is no face."""

# fmt: off
BLENDSHAPES = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawOpen", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthSmileLeft", "mouthSmileRight",
)
# fmt: on
"""The blendshapes that are kept of MediaPipe's 52."""
BROW_POINTS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)


class Landmarker(Protocol):
    """Finds faces; `rigid.face.alignment.FaceLandmarker` with blendshapes and pose is one."""

    def reset(self) -> None:
        """Forget the last picture."""

    def detect(self, frame: Pixels, timestamp_ms: int) -> Sequence[Face]:
        """The faces in `frame` (H, W, 3) RGB."""


class Observer:
    """Looks at aligned faces, RGB (B, S, S, 3).

    Gives `landmarks` (B, 478, 2) in pixels, `blendshapes` (B, 20), `angles` (B, 3) in degrees, `age_gender` (B, 2)
    in years and as the logit of being male, `expressions` (B, 7) as logits; rows of NaN where no face is found.
    """

    def __init__(self, landmarker: Landmarker, age_gender: AgeGenderNet, expression: ExpressionNet) -> None:
        self._landmarker = landmarker
        self._age_gender = age_gender
        self._expression = expression
        self._timestamp_ms = 0

    def __call__(self, images: Pixels) -> Seen:
        seen = _nothing(len(images))
        crops: dict[int, Pixels] = {}
        for i, image in enumerate(images):
            face = self._find_face(image)
            if face is None or face.pose is None:
                continue
            seen["landmarks"][i] = face.landmarks
            seen["blendshapes"][i] = [face.blendshapes[name] for name in BLENDSHAPES]
            seen["angles"][i] = head_angles(face.pose)
            crops[i] = face_crop(image, face.landmarks, INPUT_SIZE)
        if crops:
            self._classify(np.stack(list(crops.values())), list(crops), seen)
        return seen

    def _find_face(self, image: Pixels) -> Face | None:
        self._landmarker.reset()
        # far apart in time, so that nothing takes two people for one
        self._timestamp_ms += 10_000
        faces = self._landmarker.detect(image, self._timestamp_ms)
        return faces[0] if faces else None

    @torch.no_grad()
    def _classify(self, crops: Pixels, rows: list[int], seen: Seen) -> None:
        faces = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
        seen["age_gender"][rows] = torch.stack(self._age_gender(faces), 1).numpy()
        seen["expressions"][rows] = self._expression(faces).numpy()


def _nothing(count: int) -> Seen:
    shapes = {
        "landmarks": (N_LANDMARKS, 2),
        "blendshapes": (len(BLENDSHAPES),),
        "angles": (3,),
        "age_gender": (2,),
        "expressions": (len(EXPRESSIONS),),
    }
    return {name: np.full((count, *shape), np.nan, np.float32) for name, shape in shapes.items()}


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


def face_crop(image: Pixels, landmarks: Array, size: int) -> Pixels:
    """The square of a face as the age net was trained on: (size, size, 3)."""
    return square(image, *face_square(landmarks), size)


def face_square(landmarks: Array) -> tuple[tuple[float, float], float]:
    """Centre and side of the square round brows, chin and cheeks plus a tenth."""
    left, right = landmarks[:, 0].min(), landmarks[:, 0].max()
    top, bottom = landmarks[list(BROW_POINTS), 1].min(), landmarks[CHIN, 1]
    return ((left + right) / 2, (top + bottom) / 2), 1.2 * max(right - left, bottom - top)
