"""For streams of tests that do all of a frame in `step`: the server's three stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from rigid.arrays import Pixels
from rigid.edits.edit_effect import EditEffect
from rigid.stream.face_stream import StepResult
from rigid.stream.frame_record import FrameRecord


class Staged(ABC):
    """All of `step`, which a subclass has, happens in the last stage."""

    def locate(self, frame: Pixels, timestamp: float) -> FrameRecord:
        return FrameRecord(frame=frame, timestamp=timestamp)

    def generate(self, located: FrameRecord, edits: Mapping[str, float]) -> FrameRecord:
        return replace(located, effect=EditEffect(edits))

    def blend(self, made: FrameRecord) -> StepResult:
        return self.step(made.frame, made.effect.edits, made.timestamp)

    def catch_up(self) -> None:
        """Nothing is left for later."""
        return

    @abstractmethod
    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> StepResult:
        """All of a frame."""
