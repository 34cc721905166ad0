"""Who a face is, as dlib's face embedding (King, 2017) sees it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore

Embedding = NDArray[np.float64]
NETWORK, POINTS = "dlib_face_recognition_resnet_model_v1.dat", "shape_predictor_5_face_landmarks.dat"


Embedder = Callable[[Pixels, Array], Embedding]
"""Tells faces apart: a unit vector for the face at landmarks (478, 2) in a frame, uint8 RGB (H, W, 3)."""


def has_dlib() -> bool:
    """Whether the library that runs the network is installed."""
    return importlib.util.find_spec("dlib") is not None


class FaceEmbedder:
    """dlib's 128 numbers of a face, scaled to a unit vector.

    The landmarks only say where to look: dlib finds its own five points there, in the frame it is given, so that a
    face that an edit turned is embedded as it stands.
    """

    def __init__(self, store: AssetStore) -> None:
        import dlib

        self._rectangle = dlib.rectangle
        self._points = dlib.shape_predictor(str(store.file("identity", POINTS)))
        self._network = dlib.face_recognition_model_v1(str(store.file("identity", NETWORK)))

    def __call__(self, frame: Pixels, landmarks: Array) -> Embedding:
        left, top = (int(value) for value in landmarks.min(0))
        right, bottom = (int(value) for value in landmarks.max(0))
        # dlib takes no arrays with gaps between their rows, as video frames have
        frame = np.ascontiguousarray(frame)
        points = self._points(frame, self._rectangle(left, top, right, bottom))
        numbers = np.array(self._network.compute_face_descriptor(frame, points), np.float64)
        unit: Embedding = numbers / np.linalg.norm(numbers)
        return unit
