"""What a session needs of the algorithm; `rigid.stream.face_stream.FaceStream` satisfies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


class StepResult(Protocol):
    """One frame's outcome."""

    @property
    def frame(self) -> Picture:
        """The frame to show: RGB uint8 (H, W, 3)."""

    @property
    def face(self) -> bool:
        """Whether a face was found."""

    @property
    def edited(self) -> bool:
        """Whether `frame` differs from the input."""

    @property
    def covered(self) -> float:
        """What share of an edited face something else lies before, 0 to 1."""

    @property
    def stage_ms(self) -> Mapping[str, float]:
        """Milliseconds each stage took."""

    @property
    def error(self) -> str | None:
        """Why the frame went through unedited although it should not have."""


class FacePlace(Protocol):
    """Where the face of a frame lies."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of its landmarks, frame pixels; they may lie beyond the frame."""

    @property
    def faces(self) -> int:
        """How many were seen, this one among them; one more than one stands for any number."""


class Stream(Protocol):
    """The edits of one viewer's video, frame by frame, in three stages.

    Each stage takes the frames in order and one at a time; different stages may have different frames in hand, on
    different threads. Other calls come while no stage is at work, except where they say so.
    """

    cadence: int
    """The networks run for each so many frames, 1 for all; may be set from any thread."""

    def locate(self, frame: Picture, timestamp: float) -> Any:
        """Look for the face in a frame, RGB uint8 (H, W, 3), shown at `timestamp` seconds; what `generate` takes."""

    def place(self, located: Any) -> FacePlace | None:
        """Where the face that `locate` found lies; None without one. May be called while other stages are at work."""

    def generate(self, located: Any, edits: Mapping[str, float]) -> Any:
        """Make the face with {attribute: strength}; what `blend` takes."""

    def blend(self, made: Any) -> StepResult:
        """Put the face into its frame."""

    def reanchor(self) -> None:
        """Take what all frames share afresh from the next ones; may be called from any thread."""

    def save(self) -> bytes:
        """Its state, for another stream to go on with."""

    def restore(self, data: bytes) -> None:
        """Go on from what `save` gave; ValueError, and nothing changed, where it cannot be used."""

    def close(self) -> None:
        """Free what it holds."""


MakeStream = Callable[[], Stream]
