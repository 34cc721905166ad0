"""Finds faces of any size, place and roll in the frames of a video, and keeps to the one that is followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from rigid.arrays import Pixels, check_frame
from rigid.face.bystanders import Bystanders
from rigid.face.detector import FaceDetector
from rigid.face.faces import Face, FaceMemory, choose_face
from rigid.face.followed_faces import FollowedFaces
from rigid.face.mediapipe_landmarker import MediaPipeFaces
from rigid.face.views import MAX_VIEW, STEEP_ROLL, View, search_views

LARGE_FACE = 0.4
"""A face at least this share of the frame's longest side needs no window."""
CHECK_SECONDS = 1.0
"""So often the detector is asked whether what is followed still is a face."""


class Faces(Protocol):
    """Sees faces in parts of a frame."""

    @property
    def exact(self) -> bool:
        """Whether a face is seen as well in any view that shows it as in a window of its own."""

    def look(self, frame: Pixels, view: View, last: Face | None) -> list[Face]:
        """The faces in `view`, at most two, `last` among them if it is there."""

    def follow(self, frame: Pixels, face: Face, *, doubt: bool) -> Face | None:
        """`face`, of the last frame, in this one, looked at twice with `doubt`; None where a search is needed."""

    def close(self) -> None:
        """Free what it holds; safe to call twice."""


def open_faces(model_path: Path, *, blendshapes: bool, pose: bool) -> Faces:
    """What sees faces best: all of MediaPipe's face landmarker for expression and pose, else its networks alone."""
    if blendshapes or pose:
        return MediaPipeFaces(model_path, blendshapes=blendshapes, pose=pose)
    return FollowedFaces.open(model_path)


class FaceLandmarker:
    """Finds faces in the frames of one video, at most two in a view, and follows one.

    It looks at the face where it was last; when it is gone, at a window round that place, at the whole frame, and
    then at one further place a call (a tile or a turned frame), so that small and rolled faces are found within a
    second and a frame without a face stays cheap. `close` frees the native resources.
    """

    def __init__(self, model_path: Path, *, blendshapes: bool = False, pose: bool = False):
        """`model_path`: face_landmarker.task. `blendshapes`, `pose`: fill those fields of `Face` (costs time)."""
        self._faces = open_faces(model_path, blendshapes=blendshapes, pose=pose)
        self._bystanders = Bystanders(FaceDetector(model_path))
        self.reset()

    def reset(self) -> None:
        """Forget where the last face was, as at a cut to another video."""
        self._memory = FaceMemory()
        self._followed: Face | None = None
        self._checked = 0.0
        self._window: View | None = None
        self._frame_size = (0, 0)
        self._search: Iterator[View] = iter(())
        self._bystanders.forget()

    @property
    def others(self) -> int:
        """How many faces of a like size are beside the followed one, as seen within the last second of the video."""
        return self._bystanders.count

    def detect(self, frame: Pixels, timestamp_ms: int) -> list[Face]:
        """The faces in `frame`, uint8 RGB (H, W, 3), at `timestamp_ms`; the followed one first.

        While a face is followed, it is the only one, and `others` says how many more there are. ValueError when
        `frame` is not such an array.
        """
        check_frame(frame)
        height, width = frame.shape[:2]
        if (width, height) != self._frame_size:
            self.reset()
            self._frame_size = (width, height)
        time = timestamp_ms / 1000
        last = self._memory.recall(time)
        followed = self._follow(frame, time)
        faces = [followed] if followed is not None else self._find(frame, last)
        chosen = choose_face(faces, last)
        self._keep(chosen, time)
        if chosen is not None:
            self._bystanders.watch(frame, chosen, time)
        return [face for face in faces if face is chosen] + [face for face in faces if face is not chosen]

    def _follow(self, frame: Pixels, time: float) -> Face | None:
        """The face of the last frame in this one."""
        if self._followed is None:
            return None
        doubt = not 0 <= time - self._checked < CHECK_SECONDS
        if doubt:
            self._checked = time
        return self._faces.follow(frame, self._followed, doubt=doubt)

    def _find(self, frame: Pixels, last: Face | None) -> list[Face]:
        window = self._window
        faces = self._faces.look(frame, window, last) if window is not None else []
        if faces:
            return faces
        whole = View.of_frame(*self._frame_size)
        for view in (whole, self._next_search()):
            faces = self._faces.look(frame, view, last)
            if faces:
                return faces if self._faces.exact else self._refine(frame, faces, view, last)
        return []

    def _next_search(self) -> View:
        view = next(self._search, None)
        if view is None:
            self._search = iter(search_views(*self._frame_size))
            view = next(self._search)
        return view

    def _refine(self, frame: Pixels, faces: list[Face], view: View, last: Face | None) -> list[Face]:
        """Newly found faces, the one to follow seen again in its own window if the view showed it small."""
        chosen = choose_face(faces, last)
        assert chosen is not None
        window = self._window_for(chosen)
        if window is None or (view.holds(window) and view.size == window.size):
            return faces
        again = choose_face(self._faces.look(frame, window, chosen), chosen)
        if again is None:
            return faces
        return [again] + [face for face in faces if face is not chosen]

    def _keep(self, face: Face | None, time: float) -> None:
        if face is not None and self._followed is None:
            self._checked = time
        self._followed = face
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

    def close(self) -> None:
        """Free the native resources; safe to call twice."""
        self._faces.close()
