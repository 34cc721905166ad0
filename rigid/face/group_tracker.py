"""Several faces followed through a video, each by a number of its own that no other face ever gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from rigid.arrays import Array, Pixels
from rigid.face.alignment import FaceFinder, TrackedFace, ffhq_transform
from rigid.face.detector import FaceDetector
from rigid.face.faces import SAME_FACE, Face, distinct, overlap
from rigid.face.followed_faces import FollowedFaces
from rigid.face.landmark_net import LandmarkNet
from rigid.face.landmarker import CHECK_SECONDS, FaceLandmarker
from rigid.face.smoothing import LandmarkSmoother
from rigid.face.views import View, search_views, square_views
from rigid.geometry import apply

RETURN_SECONDS = 3.0
"""So long a face that is gone keeps its number for its return."""
LOOK_SECONDS, MISSING_LOOK_SECONDS = 1.0, 0.2
"""So often the whole frame is searched for further faces, and so often while one is missed."""
LEAST_SIDE = 0.3
"""Of the largest face's length: smaller ones are people far behind, or pictures on a wall."""
APART = 0.5
"""Sides of the larger of two regions, or face lengths; nearer ones show the same face."""
LARGER = 1.3
"""A newcomer so many times as large as the smallest face that is followed takes its place, where there is no other."""
RIGID_POINTS = [10, 33, 133, 362, 263, 168, 6, 1, 4, 152, 234, 454, 70, 105, 334, 300, 61, 291]
"""Landmarks that tell a face's shape rather than its expression: forehead, eyes, nose, chin, cheeks, brows, mouth."""
SHAPE_UNIT = 0.01
"""Root mean square difference of two shapes, in sides of the aligned face, that counts as much as one face length.

On forty clips a face differs from itself 0.7 s later by 0.011 (95 of 100 by less than 0.032), from another by 0.031.
"""
NEWEST_SHARE = 0.1
"""How much of a face's remembered shape and speed each frame renews."""
SAME_PLACE_SECONDS = 1.0
"""So long a face that comes back where it was is taken for the same."""
UNKNOWN = -math.inf
"""When a face was seen whose state comes from another stream."""
MOST_APART = 3.5
"""Apart by more, in the units of `Member.distance`, two sightings are two people."""


class Follower(Protocol):
    """Follows one face from frame to frame; `rigid.face.followed_faces.FollowedFaces` is one."""

    def follow(self, frame: Pixels, face: Face, *, doubt: bool) -> Face | None:
        """`face`, of the last frame, in this one; None where it is lost."""


class Crowd(Protocol):
    """Sees all faces of a frame; `DetectedCrowd` is one."""

    def look(self, frame: Pixels, known: Sequence[Face]) -> list[Face]:
        """The faces in `frame`, uint8 RGB (H, W, 3), that are none of `known`."""


@dataclass(frozen=True)
class FaceChoice:
    """Which faces of a video are edited."""

    most: int = 1
    left_to_right: bool = False
    """Whether faces that are first seen together are numbered from the left; else from the largest."""
    thorough: bool = False
    """Whether each search goes through all of the frame, small parts too, for which live video has no time."""

    def __str__(self) -> str:
        return f"{self.most} from the {'left' if self.left_to_right else 'largest'}"


class DetectedCrowd:
    """Faces as MediaPipe's detector sees them, with their landmarks."""

    def __init__(self, model_path: Path, *, thorough: bool = False) -> None:
        """`model_path`: face_landmarker.task; `thorough`: see `FaceChoice`."""
        self._detector = FaceDetector(model_path)
        self._net = LandmarkNet(model_path)
        self._thorough = thorough
        self._searched = 0

    def look(self, frame: Pixels, known: Sequence[Face]) -> list[Face]:
        """The faces in `frame` that are none of `known`; those are looked at by the detector alone.

        It looks at the whole frame and at a square of it, another each time; where `thorough`, at smaller parts, too.
        """
        height, width = frame.shape[:2]
        squares = square_views(width, height)
        self._searched += 1
        views = [squares[self._searched % len(squares)]]
        if self._thorough:
            views = [*squares, *search_views(width, height)]
        found: list[Face] = []
        for view in (View.of_frame(width, height), *views):
            for region in self._detector.detect(frame, view):
                if any(_is_at(region, face) for face in (*known, *found)):
                    continue
                seen = self._net.see(frame, region)
                if seen.score >= 0:
                    found.append(Face(seen.landmarks))
        return distinct(found)


def _is_at(region: View, face: Face) -> bool:
    """Whether a face lies where `region` does."""
    return math.dist(region.centre, face.centre) < APART * max(region.side, face.length)


@dataclass(eq=False)
class Member:
    """One face that is followed, or was a moment ago."""

    number: int
    face: Face
    """As it was seen last."""
    seen: float
    """When that was, seconds."""
    follower: Follower
    smoother: LandmarkSmoother
    shape: Array
    """Its `RIGID_POINTS`, (n, 2), in sides of the aligned face."""
    checked: float
    present: bool = True
    speed: Array = field(default_factory=lambda: np.zeros(2, np.float32))
    """Pixels a second."""

    def distance(self, face: Face, time: float) -> float:
        """How unlike this one `face` is, seen at `time`: in face lengths from where it should be, and by its shape."""
        # a clock may run backwards
        elapsed = max(0.0, time - self.seen)
        expected = self.face.centre + self.speed * min(elapsed, 0.5)
        apart = float(np.linalg.norm(face.centre - expected)) / max(self.face.length, face.length)
        # the longer it was away, the less its place says
        place = apart / (1 + 2 * elapsed)
        size = abs(math.log(face.length / self.face.length)) / (1 + elapsed)
        return place + size + float(np.sqrt(np.square(shape_of(face) - self.shape).sum(1).mean())) / SHAPE_UNIT

    def is_where_it_was(self, face: Face, time: float) -> bool:
        """Whether `face` is so near, so soon after, that its shape, as behind a hand, says less than its place."""
        apart = float(np.linalg.norm(face.centre - self.face.centre))
        return time - self.seen <= SAME_PLACE_SECONDS and apart < APART * max(self.face.length, face.length)

    def move(self, face: Face, time: float) -> None:
        """It was seen at `time`."""
        if self.present and time > self.seen:
            newest = (face.centre - self.face.centre) / (time - self.seen)
            self.speed = self.speed + 3 * NEWEST_SHARE * (newest - self.speed)
            self.shape = self.shape + NEWEST_SHARE * (shape_of(face) - self.shape)
        elif not self.present:
            self.speed = np.zeros_like(self.speed)
        self.face, self.seen, self.present = face, time, True


def shape_of(face: Face) -> Array:
    """The face's `RIGID_POINTS` as its aligned crop has them, (n, 2), in sides of the crop."""
    shape: Array = apply(ffhq_transform(face.landmarks, 1), face.landmarks[RIGID_POINTS]).astype(np.float32)
    return shape


class GroupTracker:
    """Follows up to `most` faces; each keeps its number through crossings and short absences.

    Those that are followed cost a look of the landmark net each; the detector sees the whole frame once a second.
    """

    def __init__(
        self,
        finder: FaceFinder,
        crowd: Crowd,
        follow: Callable[[], Follower],
        size: int = 256,
        choice: FaceChoice = FaceChoice(2),
    ) -> None:
        """`finder` finds the first face, wherever it is; `follow` makes what follows one. `size`: of a crop, pixels."""
        self.choice = choice
        self.beside = 0
        """How many faces were last seen that are not followed, as there are more than `most`."""
        self._finder, self._crowd, self._follow = finder, crowd, follow
        self._size = size
        self._frame_shape: tuple[int, ...] = ()
        self._members: list[Member] = []
        self._numbers = 0
        self._looked = -math.inf

    @property
    def members(self) -> Sequence[Member]:
        """Every face that is followed or may still come back, in the order of their numbers."""
        return self._members

    @property
    def last_number(self) -> int:
        """The highest number that a face has had."""
        return self._numbers

    @property
    def places(self) -> dict[int, Array]:
        """The landmarks (478, 2), frame pixels, of the `members` where they were last seen, by number."""
        return {one.number: one.face.landmarks for one in self._members}

    def restore(self, places: Mapping[int, Array], last_number: int) -> None:
        """Go on from what `places` and `last_number` were; the video's next frame is taken to follow at once."""
        self._numbers, self._members = last_number, []
        for number, landmarks in places.items():
            member = self._make_member(number, Face(landmarks), UNKNOWN)
            member.present = False
            self._members.append(member)

    def track(self, frame: Pixels, timestamp: float) -> dict[int, TrackedFace]:
        """The faces in `frame`, uint8 RGB (H, W, 3), taken at `timestamp` seconds, by number."""
        if self._frame_shape not in (frame.shape, ()):
            self._members = []
        self._frame_shape = frame.shape
        for member in self._members:
            member.seen = timestamp if member.seen == UNKNOWN else member.seen
        self._members = [one for one in self._members if timestamp - one.seen <= RETURN_SECONDS]
        self._follow_all(frame, timestamp)
        if not any(one.present for one in self._members):
            self._begin(frame, timestamp)
        elif self._is_look_due(timestamp):
            self._looked = timestamp
            self._take_in(self._crowd.look(frame, [one.face for one in self._members if one.present]), timestamp)
        return {one.number: self._describe(one, timestamp) for one in self._members if one.present}

    def close(self) -> None:
        """Close the finder; safe to call twice."""
        self._finder.close()

    def _follow_all(self, frame: Pixels, time: float) -> None:
        present = [one for one in self._members if one.present]
        found: list[tuple[Member, Face]] = []
        for member in present:
            doubt = not 0 <= time - member.checked < CHECK_SECONDS
            if doubt:
                member.checked = time
            face = member.follower.follow(frame, member.face, doubt=doubt)
            if face is not None:
                found.append((member, face))
        kept = _part_from_each_other(found, time)
        for member in present:
            if member in kept:
                member.move(kept[member], time)
            else:
                member.present = False

    def _begin(self, frame: Pixels, time: float) -> None:
        """Find the first face wherever it is, and with it all others."""
        faces = self._finder.detect(frame, round(time * 1000))[:1]
        if faces:
            self._looked = time
            self._take_in([*faces, *self._crowd.look(frame, faces)], time)

    def _is_look_due(self, time: float) -> bool:
        missed = any(not one.present for one in self._members)
        return not 0 <= time - self._looked < (MISSING_LOOK_SECONDS if missed else LOOK_SECONDS)

    def _take_in(self, faces: Sequence[Face], time: float) -> None:
        """Give newly seen `faces` their numbers: those of who is missed, or new ones to the largest."""
        newcomers = self._recognise(sorted(faces, key=lambda face: -face.length), time)
        present = [one for one in self._members if one.present]
        largest = max([one.face.length for one in present] + [face.length for face in newcomers], default=0.0)
        newcomers = [face for face in newcomers if face.length >= LEAST_SIDE * largest]
        self.beside = max(0, len(present) + len(newcomers) - self.choice.most)
        room = self.choice.most - len(present)
        added = newcomers[: max(0, room)]
        for face in newcomers[len(added) :]:
            smallest = min((one for one in self._members if one.present), key=lambda one: one.face.length, default=None)
            if smallest is None or face.length <= LARGER * smallest.face.length:
                break
            smallest.present = False
            added.append(face)
        for face in sorted(added, key=lambda one: one.centre[0]) if self.choice.left_to_right else added:
            self._add(face, time)

    def _recognise(self, faces: Sequence[Face], time: float) -> list[Face]:
        """`faces` without those of members that were missed, each of whom takes the one that is likest to it."""
        missed = [one for one in self._members if not one.present]
        pairs = sorted(
            ((member.distance(face, time), i, j) for i, member in enumerate(missed) for j, face in enumerate(faces)),
        )
        taken: set[int] = set()
        for apart, i, j in pairs:
            present = sum(one.present for one in self._members)
            alike = apart <= MOST_APART or missed[i].is_where_it_was(faces[j], time)
            if alike and not missed[i].present and j not in taken and present < self.choice.most:
                taken.add(j)
                missed[i].move(faces[j], time)
                missed[i].checked = time
        return [face for j, face in enumerate(faces) if j not in taken]

    def _add(self, face: Face, time: float) -> None:
        self._numbers += 1
        self._members.append(self._make_member(self._numbers, face, time))

    def _make_member(self, number: int, face: Face, time: float) -> Member:
        # looked at by the detector at different times, not all in one frame
        checked = time - CHECK_SECONDS * (number % self.choice.most) / self.choice.most
        smoother = LandmarkSmoother()
        return Member(number, face, time, self._follow(), smoother, shape_of(face), checked)

    def _describe(self, member: Member, time: float) -> TrackedFace:
        new = not member.smoother.continues(member.face.landmarks, time)
        landmarks = member.smoother.smooth(member.face.landmarks, time)
        return TrackedFace(member.face, landmarks, ffhq_transform(landmarks, self._size), new, 1 + self.beside)


def _part_from_each_other(found: Sequence[tuple[Member, Face]], time: float) -> dict[Member, Face]:
    """Who was `found` without those that have slid onto another's face, as behind one that passes before them."""
    kept: list[tuple[Member, Face]] = []
    for member, face in sorted(found, key=lambda pair: pair[0].distance(pair[1], time)):
        if all(overlap(face.box, other.box) < SAME_FACE for _, other in kept):
            kept.append((member, face))
    return dict(kept)


def open_group_tracker(model_path: Path, size: int, choice: FaceChoice) -> GroupTracker:
    """A tracker of the faces of `choice`. `model_path`: face_landmarker.task; `size`: of the aligned crop, pixels."""
    finder, crowd = FaceLandmarker(model_path), DetectedCrowd(model_path, thorough=choice.thorough)
    return GroupTracker(finder, crowd, lambda: FollowedFaces.open(model_path), size, choice)
