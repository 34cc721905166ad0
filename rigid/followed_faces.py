"""Faces found by a detector once, and then followed by the landmark net alone."""

from __future__ import annotations

import math
from pathlib import Path

from rigid.face_detector import FaceDetector, borrow_detector, return_detector
from rigid.face_views import Frame, View
from rigid.faces import Face, distinct
from rigid.landmark_net import LandmarkNet, Seen, region_of

SURE = 0.9
"""A face followed with less presence is looked for by the detector too; one that is there has 0.99 as a rule."""
PRESENT = 0.5
"""MediaPipe's own threshold."""
SAME_PLACE = 0.35
"""Two regions that lie nearer, in sides of the larger, are of one face."""
MOST = 2
"""Faces in a view that are looked at."""


class FollowedFaces:
    """MediaPipe's detector and its landmark net, shared by the process: what one takes of them is next to nothing.

    The face of the last frame is looked at where it was, by the net alone, which takes half the time and gives the
    landmarks that MediaPipe's FaceLandmarker gives, without its temporal filter.
    """

    exact = True

    def __init__(self, model_path: Path):
        """`model_path`: face_landmarker.task. ImportError where OpenVINO is not installed."""
        self._net = LandmarkNet(model_path)
        self._model_path = model_path
        self._borrowed: FaceDetector | None = borrow_detector(model_path)

    def look(self, frame: Frame, view: View, last: Face | None) -> list[Face]:
        """At most two faces in `view`: the nearest to `last`, else the largest."""
        regions = self._detector.detect(frame, view)
        regions.sort(key=lambda region: -region.side if last is None else math.dist(region.centre, last.centre))
        seen = [self._net.see(frame, region) for region in regions[:MOST]]
        return distinct([Face(one.landmarks) for one in seen if one.presence >= PRESENT])

    def follow(self, frame: Frame, face: Face, *, doubt: bool) -> Face | None:
        """`face`, of the last frame, in this one; None where it is lost, or the detector sees a face only elsewhere.

        The detector is asked with `doubt`, and where the net has its own.
        """
        seen = self._net.see(frame, region_of(face.landmarks))
        if not seen.steady:
            return None
        if doubt or seen.presence < SURE:
            checked = self._checked(frame, seen)
            if checked is None:
                return None
            seen = checked
        return Face(seen.landmarks)

    def _checked(self, frame: Frame, seen: Seen) -> Seen | None:
        """`seen`, or the face that the detector finds close by; None where it finds one only elsewhere.

        Where it finds none `seen` stands: it misses faces turned away that the net still follows.
        """
        ours = region_of(seen.landmarks)
        found = self._detector.detect(frame, View.round_face(Face(seen.landmarks)))
        near = [other for other in found if is_same_place(ours, other)]
        if not found or (near and seen.presence >= SURE):
            return seen
        again = self._net.see(frame, near[0]) if near else None
        return again if again is not None and again.steady else None

    def close(self) -> None:
        """Give back what it shares; safe to call twice."""
        if self._borrowed is not None:
            return_detector(self._model_path)
            self._borrowed = None

    @property
    def _detector(self) -> FaceDetector:
        if self._borrowed is None:
            raise RuntimeError("The landmarker is closed.")
        return self._borrowed


def is_same_place(a: View, b: View) -> bool:
    """Whether two regions are of one face."""
    return math.dist(a.centre, b.centre) < SAME_PLACE * max(a.side, b.side)
