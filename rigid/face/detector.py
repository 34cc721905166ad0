"""MediaPipe's face detector: boxes of faces in single pictures, from the file of its face landmarker."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Pixels
from rigid.face.landmark_net import region
from rigid.face.views import View
from rigid.geometry import apply, inverse, scale_of

MEMBER = "face_detector.tflite"
BOX_SCALE = 1.5
"""MediaPipe's region for the landmark net in longest sides of the detector's box."""


class FaceDetector:
    """Finds faces in a view of a frame. May be used by several threads: it lends each one of its detectors.

    They remember nothing from picture to picture, so there are as many as calls were ever under way at once.
    """

    def __init__(self, model_path: Path):
        """`model_path`: face_landmarker.task."""
        # MediaPipe takes seconds to import, and code that finds no faces does without it.
        import mediapipe

        self._mediapipe: Any = mediapipe
        with ZipFile(model_path) as task:
            self._model = task.read(MEMBER)
        self._lock = threading.Lock()
        self._idle: list[Any] = [self._open()]

    def detect(self, frame: Pixels, view: View) -> list[View]:
        """The regions of `frame`, uint8 RGB (H, W, 3), in which the landmark net finds the faces in `view`.

        Upright as the eyes say; the surest first.
        """
        picture = np.ascontiguousarray(view.picture(frame))
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=picture)
        with self._lock:
            task = self._idle.pop() if self._idle else None
        task = task or self._open()
        try:
            found = task.detect(image).detections
        finally:
            with self._lock:
                self._idle.append(task)
        return [_region(detection, view) for detection in found]

    def close(self) -> None:
        """Free the native resources; safe to call twice."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _open(self) -> Any:
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceDetectorOptions(base_options=BaseOptions(model_asset_buffer=self._model))
        return vision.FaceDetector.create_from_options(options)


def _region(detection: Any, view: View) -> View:
    """Where in the frame a detection in `view` lies."""
    box = detection.bounding_box
    middle = np.array([box.origin_x + box.width / 2, box.origin_y + box.height / 2])
    eyes: NDArray[np.float64] = np.array([(point.x, point.y) for point in detection.keypoints[:2]]) * view.size
    dx, dy = eyes[1] - eyes[0]
    back = inverse(view.transform)
    side = BOX_SCALE * max(box.width, box.height) * scale_of(back)
    return region(apply(back, middle), side, view.angle + math.atan2(float(dy), float(dx)))


_sharing = threading.Lock()
_shared: dict[Path, tuple[FaceDetector, int]] = {}


def borrow_detector(model_path: Path) -> FaceDetector:
    """The detector of this file that the whole process uses; give it back with `return_detector`."""
    with _sharing:
        detector, users = _shared.get(model_path) or (FaceDetector(model_path), 0)
        _shared[model_path] = detector, users + 1
        return detector


def return_detector(model_path: Path) -> None:
    """Give back a borrowed detector of this file; whoever is the last closes it."""
    with _sharing:
        detector, users = _shared.pop(model_path)
        if users > 1:
            _shared[model_path] = detector, users - 1
            return
    detector.close()
