"""Where in a frame to look for a face: the whole, windows round a face, tiles, turned upright where need be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rigid.arrays import Pixels
from rigid.face.faces import Face
from rigid.geometry import Transform, resample, rotate, similarity

MAX_VIEW = 640
"""Longest side of a picture that is searched, pixels."""
WINDOW_VIEW = 384
"""Longest side of a window round a face when it is searched."""
WINDOW_SIDE = 2.2
"""Side of a window in sides of the face's box: enough of a margin for the detector, and for the next movement."""
STEEP_ROLL = math.radians(25)


@dataclass(frozen=True)
class View:
    """A picture that the landmarker looks at: a window of the frame, turned upright."""

    transform: Transform
    """Frame → view."""
    size: tuple[int, int]
    """Width and height of the view, pixels."""
    centre: tuple[float, float]
    side: float
    """Longest side of the window, frame pixels."""
    angle: float = 0.0

    @classmethod
    def of_window(cls, centre: tuple[float, float], side: float, angle: float, limit: int = WINDOW_VIEW) -> View:
        """A square window about `centre` whose x axis points along `angle`."""
        pixels = max(64, min(limit, round(side)))
        return cls(similarity(np.array(centre), side, angle, (pixels, pixels)), (pixels, pixels), centre, side, angle)

    @classmethod
    def of_frame(cls, width: int, height: int) -> View:
        """The whole frame, shrunk if it is large."""
        side = max(width, height)
        scale = min(1.0, MAX_VIEW / side)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        transform = np.array([[size[0] / width, 0, 0], [0, size[1] / height, 0]], np.float64)
        return cls(transform, size, (width / 2, height / 2), side)

    @classmethod
    def round_face(cls, face: Face) -> View:
        """A window in which `face` stands upright with room about it."""
        upright = rotate(face.landmarks - face.centre, -face.roll)
        side = WINDOW_SIDE * float(np.ptp(upright, axis=0).max())
        return cls.of_window((float(face.centre[0]), float(face.centre[1])), max(side, 16.0), face.roll)

    def holds(self, other: View) -> bool:
        """Whether `other` differs so little that this view serves as well; a steady view keeps its tracking."""
        moved = math.dist(self.centre, other.centre)
        turned = abs(math.remainder(self.angle - other.angle, 2 * math.pi))
        return moved < 0.12 * self.side and 0.8 < other.side / self.side < 1.25 and turned < STEEP_ROLL

    def is_like(self, other: View) -> bool:
        """Whether `other` shows just what this view does."""
        return self.size == other.size and np.array_equal(self.transform, other.transform)

    def picture(self, frame: Pixels) -> Pixels:
        """What the view shows of `frame`, black outside it."""
        if self.size == frame.shape[1::-1] and np.array_equal(self.transform, np.eye(2, 3)):
            return np.ascontiguousarray(frame)
        return resample(frame, self.transform, self.size, cv2.BORDER_CONSTANT)


def search_views(width: int, height: int) -> list[View]:
    """Say where to look for a face that the whole frame did not show: turned frames, then smaller and smaller tiles."""
    middle, longest, shortest = (width / 2, height / 2), max(width, height), min(width, height)
    views = [View.of_window(middle, longest, angle, MAX_VIEW) for angle in (math.pi / 2, -math.pi / 2)]
    for share in (0.67, 0.4):
        side = max(48.0, share * shortest)
        xs, ys = _tile_centres(width, side), _tile_centres(height, side)
        views += [View.of_window((x, y), side, 0.0, MAX_VIEW) for y in ys for x in xs]
    return views


def square_views(width: int, height: int) -> list[View]:
    """The frame in squares as high as it is wide or as wide as it is high, whichever is less, overlapping by half."""
    side = float(min(width, height))
    xs, ys = _tile_centres(width, side), _tile_centres(height, side)
    return [View.of_window((x, y), side, 0.0, MAX_VIEW) for y in ys for x in xs]


def _tile_centres(length: int, side: float) -> list[float]:
    """Centres of tiles that cover an axis, overlapping by about half."""
    if side >= length:
        return [length / 2]
    count = math.ceil((length - side) / (0.5 * side)) + 1
    return [float(centre) for centre in np.linspace(side / 2, length - side / 2, count)]
