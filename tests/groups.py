"""People who walk through a frame, as far as trackers of several faces are concerned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rigid.arrays import Pixels
from rigid.face.alignment import Face
from rigid.face.group_tracker import FaceChoice, GroupTracker
from tests.fakes import TINY
from tests.worlds import landmarks_in_crop

FPS = 20
SHAPE = (96, 256, 3)
Place = Callable[[float], tuple[float, float] | None]


@dataclass(frozen=True)
class Person:
    """Somebody whose aligned crop is `side` pixels, and whose face is so much wider than another's."""

    place: Place
    """Where the crop's middle is at a time in seconds, None while away."""
    side: float = 60.0
    width: float = 1.0

    def face_at(self, seconds: float) -> Face | None:
        """The face, if it is there."""
        place = self.place(seconds)
        if place is None:
            return None
        points = (landmarks_in_crop(1) - 0.5) * np.array([self.width, 1.0])
        return Face((self.side * points + place).astype(np.float32))


def standing(x: float, y: float = 48.0) -> Place:
    """A place that is kept."""
    return lambda seconds: (x, y)


def frame_at(seconds: float) -> Pixels:
    """A frame that tells its time to the people in it."""
    frame = np.full(SHAPE, 90, np.uint8)
    number = round(seconds * FPS)
    frame[0, 0] = number // 256, number % 256, 0
    return frame


class People:
    """All the people of a video, those further away first: who is behind another's face is not seen."""

    def __init__(self, *people: Person) -> None:
        self.people = people
        self.looks = 0
        """How often the whole frame was searched."""

    def seen_in(self, frame: Pixels) -> list[Face]:
        """The faces that can be seen, those further away first."""
        seconds = (256 * int(frame[0, 0, 0]) + int(frame[0, 0, 1])) / FPS
        there = [face for one in self.people if (face := one.face_at(seconds)) is not None]
        return [
            face
            for i, face in enumerate(there)
            if all(np.linalg.norm(face.centre - nearer.centre) > 0.5 * nearer.length for nearer in there[i + 1 :])
        ]

    @property
    def others(self) -> int:
        return 0

    def detect(self, frame: Pixels, timestamp_ms: int) -> list[Face]:
        return sorted(self.seen_in(frame), key=lambda face: -face.length)

    def look(self, frame: Pixels, known: Sequence[Face]) -> list[Face]:
        self.looks += 1
        return [
            face
            for face in self.seen_in(frame)
            if all(np.linalg.norm(face.centre - other.centre) > 0.5 * other.length for other in known)
        ]

    def follow(self, frame: Pixels, face: Face, *, doubt: bool) -> Face | None:
        """Whoever is nearest to where the face was, as a landmark net sees it."""
        near = [one for one in self.seen_in(frame) if np.linalg.norm(one.centre - face.centre) < 0.7 * face.length]
        return min(near, key=lambda one: float(np.linalg.norm(one.centre - face.centre)), default=None)

    def close(self) -> None:
        pass


def make_tracker(people: People, most: int = 2, *, left_to_right: bool = False) -> GroupTracker:
    """A tracker of these people."""
    choice = FaceChoice(most, left_to_right)
    return GroupTracker(people, people, lambda: people, TINY.image_size, choice)
