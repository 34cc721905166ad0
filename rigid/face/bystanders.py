"""Further faces in a picture, beside the one that is followed."""

from __future__ import annotations

import math

from rigid.arrays import Pixels
from rigid.face.detector import FaceDetector
from rigid.face.faces import Face
from rigid.face.landmark_net import region_of
from rigid.face.views import View

LOOK_SECONDS = 1.0
"""So often the whole frame is looked at. The detector takes some 3 ms, a hundredth of what frames take in that time."""
FIRST_LOOK_SECONDS = 0.5
"""After the followed face was found: between the looks at whether it still is a face, not to burden one frame twice."""
LEAST_SIDE = 0.4
"""Of the followed face's side: smaller ones are people far behind, or pictures on a wall."""
APART = 0.5
"""Sides of the larger of two regions; nearer ones show the same face."""


class Bystanders:
    """How many there are besides the followed face, as of the last look at the whole frame; by the detector alone."""

    def __init__(self, detector: FaceDetector):
        self._detector = detector
        self.forget()

    def forget(self) -> None:
        """Forget whoever was seen, as at a cut to another video."""
        self.count = 0
        self._looked: float | None = None

    def watch(self, frame: Pixels, followed: Face, time: float) -> None:
        """Look now and then for others in `frame`, uint8 RGB (H, W, 3), of `time` seconds."""
        if self._looked is None:
            self._looked = time + FIRST_LOOK_SECONDS - LOOK_SECONDS
        if 0 <= time - self._looked < LOOK_SECONDS:
            return
        self._looked = time
        own = region_of(followed.landmarks)
        height, width = frame.shape[:2]
        seen = self._detector.detect(frame, View.of_frame(width, height))
        self.count = sum(_is_another(own, region) for region in seen)


def _is_another(own: View, seen: View) -> bool:
    """Whether `seen` shows another face than `own`, of a size that matters."""
    apart = math.dist(own.centre, seen.centre) / max(own.side, seen.side)
    return apart > APART and seen.side > LEAST_SIDE * own.side
