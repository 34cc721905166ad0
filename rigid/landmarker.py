"""Face landmarks by MediaPipe's FaceLandmarker, for faces of any size, place and roll."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.geometry import Transform, apply, inverse, resample, rotate, similarity
from rigid.landmarks import LEFT_EYE, RIGHT_EYE
from rigid.smoothing import face_length

Frame = NDArray[np.uint8]

MAX_VIEW = 640
"""Longest side of a picture given to the landmarker, pixels."""
WINDOW_VIEW = 384
"""Longest side of a window round a face when given to the landmarker."""
WINDOW_SIDE = 2.2
"""Side of a window in sides of the face's box: enough of a margin for the detector, and for the next movement."""
LARGE_FACE = 0.4
"""A face at least this share of the frame's longest side needs no window."""
STEEP_ROLL = math.radians(25)
SAME_FACE = 0.5
"""Two results overlapping by this much (intersection over union) are one face found twice."""


@dataclass(frozen=True)
class Face:
    """One face in one frame."""

    landmarks: NDArray[np.float32]
    """(478, 2) x, y in frame pixels, continuous: the first pixel's centre is (0.5, 0.5). May lie outside the frame."""
    blendshapes: dict[str, float] = field(default_factory=dict)
    """52 expression scores in [0, 1] by name; empty unless asked for."""
    pose: NDArray[np.float32] | None = None
    """(4, 4) head pose, canonical face → camera (x right, y up, z towards the viewer), None unless asked for."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the landmarks, frame pixels."""
        left, top = self.landmarks.min(0)
        right, bottom = self.landmarks.max(0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def centre(self) -> NDArray[np.float32]:
        """Middle of the box, (2,)."""
        middle: NDArray[np.float32] = (self.landmarks.min(0) + self.landmarks.max(0)) / 2
        return middle

    @property
    def length(self) -> float:
        """√(width · height) of the box, pixels."""
        return face_length(self.landmarks)

    @property
    def roll(self) -> float:
        """Direction from the left to the right eye, radians; 0 is upright, positive clockwise."""
        dx, dy = self.landmarks[RIGHT_EYE].mean(0) - self.landmarks[LEFT_EYE].mean(0)
        return math.atan2(float(dy), float(dx))


def choose_face(faces: Sequence[Face], last: Face | None) -> Face | None:
    """The face nearest to `last`, else the largest; None of none."""
    if not faces:
        return None
    if last is None:
        return max(faces, key=lambda face: face.length)
    where = last.centre
    return min(faces, key=lambda face: float(np.linalg.norm(face.centre - where)))


class FaceMemory:
    """Which face was followed last, for as long as it may come back."""

    def __init__(self, seconds: float = 1.0):
        self._seconds = seconds
        self._face: Face | None = None
        self._time = 0.0

    def recall(self, time: float) -> Face | None:
        """The face remembered, None when it was never seen or too long before `time` seconds."""
        return self._face if time - self._time <= self._seconds else None

    def remember(self, face: Face, time: float) -> None:
        """`face` was followed at `time` seconds."""
        self._face, self._time = face, time

    def forget(self) -> None:
        """As if no face had ever been seen."""
        self._face = None


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

    def picture(self, frame: Frame) -> Frame:
        """What the view shows of `frame`, black outside it."""
        if np.array_equal(self.transform, np.eye(2, 3)):
            return np.ascontiguousarray(frame)
        return resample(frame, self.transform, self.size, cv2.BORDER_CONSTANT)


def search_views(width: int, height: int) -> list[View]:
    """Where to look for a face that the whole frame did not show: turned frames, then smaller and smaller tiles."""
    middle, longest, shortest = (width / 2, height / 2), max(width, height), min(width, height)
    views = [View.of_window(middle, longest, angle, MAX_VIEW) for angle in (math.pi / 2, -math.pi / 2)]
    for share in (0.67, 0.4):
        side = max(48.0, share * shortest)
        xs, ys = _tile_centres(width, side), _tile_centres(height, side)
        views += [View.of_window((x, y), side, 0.0, MAX_VIEW) for y in ys for x in xs]
    return views


def _tile_centres(length: int, side: float) -> list[float]:
    """Centres of tiles that cover an axis, overlapping by about half."""
    if side >= length:
        return [length / 2]
    count = math.ceil((length - side) / (0.5 * side)) + 1
    return [float(centre) for centre in np.linspace(side / 2, length - side / 2, count)]


class FaceLandmarker:
    """Finds faces in the frames of one video, at most two in a view.

    It looks at a window round the face seen last; when that face is gone, at the whole frame, and then at
    one further place a call (a tile or a turned frame), so that small and rolled faces are found within a
    second and a frame without a face stays cheap. `close` frees the native resources.
    """

    def __init__(self, model_path: Path, *, blendshapes: bool = False, pose: bool = False):
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
        self._clock = -1
        self._tracked: View | None = None
        self.reset()

    def reset(self) -> None:
        """Forget where the last face was, as at a cut to another video."""
        self._memory = FaceMemory()
        self._window: View | None = None
        self._frame_size = (0, 0)
        self._search: Iterator[View] = iter(())

    def detect(self, frame: Frame, timestamp_ms: int) -> list[Face]:
        """The faces in `frame`, uint8 RGB (H, W, 3), at `timestamp_ms`; the followed one first.

        Timestamps that stand still or run backwards are moved on as MediaPipe needs. ValueError when
        `frame` is not such an array.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"A frame must be uint8 RGB (height, width, 3), got {frame.dtype} {frame.shape}.")
        self._clock = max(self._clock + 1, int(timestamp_ms))
        height, width = frame.shape[:2]
        if (width, height) != self._frame_size:
            self.reset()
            self._frame_size = (width, height)
        time = timestamp_ms / 1000
        last = self._memory.recall(time)
        faces = self._find(frame, last)
        chosen = choose_face(faces, last)
        self._follow(chosen, time)
        return [face for face in faces if face is chosen] + [face for face in faces if face is not chosen]

    def _find(self, frame: Frame, last: Face | None) -> list[Face]:
        window = self._window
        faces = self._look(frame, window) if window is not None else []
        if faces:
            return faces
        whole = View.of_frame(*self._frame_size)
        for view in (whole, self._next_search()):
            faces = self._look(frame, view)
            if faces:
                return self._refined(frame, faces, view, last)
        return []

    def _next_search(self) -> View:
        view = next(self._search, None)
        if view is None:
            self._search = iter(search_views(*self._frame_size))
            view = next(self._search)
        return view

    def _refined(self, frame: Frame, faces: list[Face], view: View, last: Face | None) -> list[Face]:
        """Newly found faces, the one to follow seen again in its own window if the view showed it small."""
        chosen = choose_face(faces, last)
        assert chosen is not None
        window = self._window_for(chosen)
        if window is None or (view.holds(window) and view.size == window.size):
            return faces
        again = choose_face(self._look(frame, window), chosen)
        if again is None:
            return faces
        return [again] + [face for face in faces if face is not chosen]

    def _follow(self, face: Face | None, time: float) -> None:
        if face is None:
            self._window = None
            return
        self._memory.remember(face, time)
        self._search = iter(())
        wanted = self._window_for(face)
        if wanted is None or self._window is None or not self._window.holds(wanted):
            self._window = wanted

    def _window_for(self, face: Face) -> View | None:
        """A window for a small or steeply rolled face; None where the whole frame serves as well."""
        longest = max(self._frame_size)
        left, top, right, bottom = face.box
        large = max(right - left, bottom - top) >= LARGE_FACE * longest
        if large and longest <= MAX_VIEW and abs(face.roll) < STEEP_ROLL:
            return None
        return View.round_face(face)

    def _look(self, frame: Frame, view: View) -> list[Face]:
        if self._tracked is not None and not self._tracked.is_like(view):
            # MediaPipe would look where the last view had its face, and in this one find half of it or none.
            self._run(np.zeros((64, 64, 3), np.uint8))
        result = self._run(view.picture(frame))
        faces = _distinct([_face(result, i, view) for i in range(len(result.face_landmarks))])
        self._tracked = view if faces else None
        return faces

    def _run(self, picture: Frame) -> Any:
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        result = self._task.detect_for_video(image, self._clock)
        self._clock += 1
        return result

    def close(self) -> None:
        """Free the native resources; safe to call twice."""
        if self._task is not None:
            self._task.close()
            self._task = None


def _face(result: Any, index: int, view: View) -> Face:
    """Face `index` of MediaPipe's result, taken from the view back to the frame."""
    points = np.array([(p.x, p.y) for p in result.face_landmarks[index]]) * view.size
    face = Face(apply(inverse(view.transform), points).astype(np.float32))
    if result.face_blendshapes:
        face = replace(face, blendshapes={c.category_name: float(c.score) for c in result.face_blendshapes[index]})
    if result.facial_transformation_matrixes:
        matrix = np.asarray(result.facial_transformation_matrixes[index], np.float32)
        face = replace(face, pose=_rolled(matrix, view.angle))
    return face


def _rolled(pose: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    """A pose seen in a window turned by `angle`, as it is in the frame. The camera's y axis points up."""
    turn = np.eye(4, dtype=np.float32)
    cos, sin = math.cos(angle), math.sin(angle)
    turn[:2, :2] = [[cos, sin], [-sin, cos]]
    turned: NDArray[np.float32] = turn @ pose
    return turned


def _distinct(faces: list[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in faces:
        if all(_overlap(face.box, other.box) < SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return both / (areas - both)
