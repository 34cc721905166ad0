"""Opens a composite with all that it works with: a landmarker, a net."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rigid.assets import AssetStore
from rigid.composite import CompositeKind, Compositor
from rigid.geometry import Points

if TYPE_CHECKING:
    from rigid.change_model import ChangeModel


def open_compositor(kind: CompositeKind, store: AssetStore | None = None) -> Compositor:
    """The composite `kind`; close it. ValueError for a kind that does not exist, AssetError where a model lacks."""
    if kind == "transfer-landmarks":
        model = (store or AssetStore()).file("face-landmarks", "face_landmarker.task")
        return Compositor(kind, finder=CropLandmarker(model))
    return Compositor(kind, net=_change_model() if kind == "learned" else None)


@cache
def _change_model() -> ChangeModel:
    """One for all streams: it holds no state."""
    # PyTorch takes a second to import, and most streams do without it.
    from rigid.change_model import ChangeModel
    from rigid.models.build import build_change_net

    return ChangeModel(build_change_net())


class CropLandmarker:
    """MediaPipe's landmarks of aligned crops, each by itself."""

    def __init__(self, model_path: Path):
        """`model_path`: face_landmarker.task."""
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        self._mediapipe: Any = mediapipe
        options = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(model_path)))
        self._task: Any = vision.FaceLandmarker.create_from_options(options)

    def __call__(self, crop: NDArray[np.uint8]) -> Points | None:
        """`crop`, uint8 RGB (S, S, 3) → landmarks (478, 2) in crop pixels; None where no face is found."""
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(crop))
        faces = self._task.detect(image).face_landmarks
        if not faces:
            return None
        points: Points = np.array([(p.x, p.y) for p in faces[0]], np.float32) * crop.shape[0]
        return points

    def close(self) -> None:
        """Free the native resources; safe to call twice."""
        if self._task is not None:
            self._task.close()
            self._task = None
