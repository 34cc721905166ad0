"""For streams of tests that do all of a frame in `step`: the server's three stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from server.frames.stream_protocol import FacePlace, StepResult

Picture = NDArray[np.uint8]


class Staged(ABC):
    """All of `step`, which a subclass has, happens in the last stage."""

    def locate(self, frame: Picture, timestamp: float) -> tuple[Picture, float]:
        return frame, timestamp

    def place(self, located: tuple[Picture, float]) -> FacePlace | None:
        return None

    def generate(
        self, located: tuple[Picture, float], edits: Mapping[str, float]
    ) -> tuple[Picture, Mapping[str, float], float]:
        frame, timestamp = located
        return frame, edits, timestamp

    def blend(self, made: tuple[Picture, Mapping[str, float], float]) -> StepResult:
        return self.step(*made)

    @abstractmethod
    def step(self, frame: Picture, edits: Mapping[str, float], timestamp: float) -> StepResult:
        """All of a frame."""
