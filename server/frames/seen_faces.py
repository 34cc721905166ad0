"""Which faces are in a session's newest picture, and since when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rigid.stream.frame_record import FrameRecord

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class SeenFace:
    """One face of a picture."""

    number: int
    box: Box | None
    """Left, top, right, bottom in shares of the picture's width and height; None while it is not to be seen."""
    edited: bool
    """Whether the picture shows an edit of it."""


def faces_of(record: FrameRecord) -> tuple[SeenFace, ...]:
    """The faces of a frame that was generated: those in it, and those that may come back."""
    height, width = record.frame.shape[:2]
    return tuple(
        SeenFace(number, _find_box(face, width, height), face.pictures is not None)
        for number, face in sorted(record.members.items())
    )


def _find_box(face: FrameRecord, width: int, height: int) -> Box | None:
    if not face.face or face.sighting is None:
        return None
    left, top, right, bottom = face.sighting.box
    return left / width, top / height, right / width, bottom / height


class FaceRegister:
    """The faces of one session's newest picture; it is used on the event loop only."""

    def __init__(self, tell_count: Callable[[int], None]) -> None:
        """`tell_count` is called with how many more faces are to be seen than before."""
        self._tell_count = tell_count
        self._faces: Sequence[SeenFace] = ()
        self._since: dict[int, datetime] = {}
        self._count = 0
        self._ended = False

    @property
    def numbers(self) -> list[int]:
        """The numbers of the faces that are there, or may come back."""
        return [face.number for face in self._faces]

    def note(self, faces: Sequence[SeenFace]) -> None:
        """Note the faces of one more picture."""
        if self._ended:
            return
        self._since = {face.number: self._since.get(face.number) or datetime.now(UTC) for face in faces}
        self._faces = faces
        count = sum(face.box is not None for face in faces)
        if count != self._count:
            self._tell_count(count - self._count)
            self._count = count

    def end(self) -> None:
        """Count no face any more, whatever picture still comes."""
        self.note(())
        self._ended = True

    def describe(self) -> list[dict[str, object]]:
        """Describe the faces that are to be seen, ready for JSON."""
        return [
            {
                "id": face.number,
                "box": [round(edge, 4) for edge in face.box],
                "since": self._since[face.number].isoformat(timespec="milliseconds"),
                "edited": face.edited,
            }
            for face in self._faces
            if face.box is not None
        ]
