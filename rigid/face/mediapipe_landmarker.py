"""Faces as MediaPipe's FaceLandmarker sees them, with expression and pose."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.face.faces import Face, distinct
from rigid.face.views import View
from rigid.geometry import apply, inverse


class MediaPipeFaces:
    """MediaPipe's whole face landmarker, at most two faces in a view; 25 MB each."""

    exact = False

    def __init__(self, model_path: Path, *, blendshapes: bool, pose: bool):
        """`model_path`: face_landmarker.task. `blendshapes`, `pose`: fill those fields of `Face` (costs time)."""
        # MediaPipe takes seconds to import, and code that only reads Face or View does without it.
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        self._mediapipe: Any = mediapipe
        # With one face MediaPipe switches on a filter that trails fast movements; with two it does not.
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model_path)),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=2,
            output_face_blendshapes=blendshapes,
            output_facial_transformation_matrixes=pose,
        )
        self._task: Any = vision.FaceLandmarker.create_from_options(options)
        self._clock = 0
        self._tracked: View | None = None

    def look(self, frame: Pixels, view: View, last: Face | None) -> list[Face]:
        """The faces in `view`."""
        if self._tracked is not None and not self._tracked.is_like(view):
            # MediaPipe would look where the last view had its face, and in this one find half of it or none.
            self._run(np.zeros((64, 64, 3), np.uint8))
        result = self._run(view.picture(frame))
        faces = distinct([_face(result, i, view) for i in range(len(result.face_landmarks))])
        self._tracked = view if faces else None
        return faces

    def follow(self, frame: Pixels, face: Face, *, doubt: bool) -> Face | None:
        """None: each view is searched for itself."""
        return None

    def close(self) -> None:
        """Free the native resources; safe to call twice."""
        if self._task is not None:
            self._task.close()
            self._task = None

    def _run(self, picture: Pixels) -> Any:
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        # without a filter MediaPipe uses the time for nothing, and only wants it to go on
        self._clock += 1
        return self._task.detect_for_video(image, self._clock)


def _face(result: Any, index: int, view: View) -> Face:
    """Face `index` of MediaPipe's result, taken from the view back to the frame."""
    points = np.array([(p.x, p.y) for p in result.face_landmarks[index]]) * view.size
    face = Face(apply(inverse(view.transform), points).astype(np.float32))
    if result.face_blendshapes:
        face = replace(face, blendshapes={c.category_name: float(c.score) for c in result.face_blendshapes[index]})
    if result.facial_transformation_matrixes:
        matrix = np.asarray(result.facial_transformation_matrixes[index], np.float32)
        face = replace(face, pose=_roll(matrix, view.angle))
    return face


def _roll(pose: Array, angle: float) -> Array:
    """A pose seen in a window turned by `angle`, as it is in the frame. The camera's y axis points up."""
    turn = np.eye(4, dtype=np.float32)
    cos, sin = math.cos(angle), math.sin(angle)
    turn[:2, :2] = [[cos, sin], [-sin, cos]]
    turned: Array = turn @ pose
    return turned
