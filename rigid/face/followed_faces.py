"""Faces found by a detector once, and then followed by the landmark net alone."""

from __future__ import annotations

import math
from pathlib import Path

from rigid.arrays import Pixels
from rigid.face.detector import FaceDetector
from rigid.face.faces import Face, distinct
from rigid.face.landmark_net import LandmarkNet, Seen, region_of
from rigid.face.views import View

SURE = 10.0
"""Log odds below which the detector is asked, too. Faces in full view have 11 to 23; half faces, and heads with the
face painted over, in which the net still sees one, up to 9."""
PATIENCE = 3
"""So many frames in a row the net alone is believed when it is not sure."""
SAME_PLACE, STRAYED = 0.35, 0.15
"""Regions that lie nearer than the first, in sides of the larger, are of one face; further apart than the second, one
of them shows it badly."""
MOST = 2
"""Faces in a view that are looked at."""


class FollowedFaces:
    """MediaPipe's detector and its landmark net, shared by the process: what one takes of them is next to nothing.

    The face of the last frame is looked at where it was, by the net alone, which takes half the time and gives the
    landmarks that MediaPipe's FaceLandmarker gives, without its temporal filter.
    """

    exact = True

    def __init__(self, net: LandmarkNet, detector: FaceDetector):
        self._net = net
        self._detector = detector
        self._unsure = 0

    @classmethod
    def open(cls, model_path: Path) -> FollowedFaces:
        """By the networks in face_landmarker.task."""
        return cls(LandmarkNet(model_path), FaceDetector(model_path))

    def look(self, frame: Pixels, view: View, last: Face | None) -> list[Face]:
        """Find at most two faces in `view`: the nearest to `last`, else the largest."""
        regions = self._detector.detect(frame, view)
        regions.sort(key=lambda region: -region.side if last is None else math.dist(region.centre, last.centre))
        seen = [self._net.see(frame, region) for region in regions[:MOST]]
        return distinct([Face(one.landmarks) for one in seen if one.score >= 0])

    def follow(self, frame: Pixels, face: Face, *, doubt: bool) -> Face | None:
        """`face`, of the last frame, in this one; None where it is lost, or the detector sees a face only elsewhere.

        The detector is asked with `doubt`, and where the net has its own.
        """
        seen: Seen | None = self._net.see(frame, region_of(face.landmarks))
        assert seen is not None
        if not seen.steady:
            return None
        if seen.score >= SURE:
            self._unsure = 0
        if doubt or seen.score < SURE:
            seen = self._check(frame, seen)
        return Face(seen.landmarks) if seen is not None else None

    def _check(self, frame: Pixels, seen: Seen) -> Seen | None:
        """`seen`, or the face that the detector finds close by; None where it finds one only elsewhere, or none.

        Where it finds none `seen` stands for some frames, and as long as the net is sure: the detector misses some.
        """
        ours = region_of(seen.landmarks)
        found = self._detector.detect(frame, View.round_face(Face(seen.landmarks)))
        near = [other for other in found if distance(ours, other) < SAME_PLACE]
        if not found:
            self._unsure += seen.score < SURE
            return seen if self._unsure <= PATIENCE else None
        self._unsure = 0
        if near and seen.score < SURE and distance(ours, near[0]) > STRAYED:
            again = self._net.see(frame, near[0])
            return again if again.steady else None
        return seen if near else None

    def close(self) -> None:
        """Nothing: the process keeps the networks."""


def distance(a: View, b: View) -> float:
    """How far two regions lie apart, in sides of the larger."""
    return math.dist(a.centre, b.centre) / max(a.side, b.side)
