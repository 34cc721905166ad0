"""What a session needs of the algorithm; `rigid.stream.face_stream.FaceStream` satisfies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from rigid.arrays import Pixels
from rigid.stream.face_stream import StepResult
from rigid.stream.frame_record import FrameRecord


class Stream(Protocol):
    """The edits of one viewer's video, frame by frame, in three stages.

    Each stage takes the frames in order and one at a time; different stages may have different frames in hand, on
    different threads. Other calls come while no stage is at work, except where they say so.
    """

    cadence: int
    """The networks run for each so many frames, 1 for all; may be set from any thread."""
    inverted_after: float
    """How far a face moves before the inverted one is drawn anew, crop sides; 0 for all; may be set from any thread."""

    def locate(self, frame: Pixels, timestamp: float) -> FrameRecord:
        """Look for the face in a frame, RGB uint8 (H, W, 3), shown at `timestamp` seconds; what `generate` takes."""

    def generate(self, located: FrameRecord, edits: Mapping[str, float]) -> FrameRecord:
        """Make the face with {attribute: strength}; what `blend` takes."""

    def blend(self, made: FrameRecord) -> StepResult:
        """Put the face into its frame."""

    def catch_up(self) -> None:
        """Do what the next frame needs of the last one, now that it is shown; may be called from any thread."""

    def reanchor(self) -> None:
        """Take what all frames share afresh from the next ones; may be called from any thread."""

    def save(self) -> bytes:
        """Save the stream's state, for another stream to go on with."""

    def restore(self, data: bytes) -> None:
        """Go on from what `save` gave; ValueError, and nothing changed, where it cannot be used."""

    def close(self) -> None:
        """Free what it holds."""


MakeStream = Callable[[], Stream]
