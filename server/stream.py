"""What a session needs of the algorithm; `rigid.stream.FaceStream` satisfies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

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
    def stage_ms(self) -> Mapping[str, float]:
        """Milliseconds each stage took."""

    @property
    def error(self) -> str | None:
        """Why the frame went through unedited although it should not have."""


class Stream(Protocol):
    """The edits of one viewer's video, frame by frame; called from one thread at a time."""

    cadence: int
    """The networks run for each so many frames, 1 for all; may be set from any thread."""

    def step(self, frame: Picture, edits: Mapping[str, float], timestamp: float) -> StepResult:
        """Edit a frame, RGB uint8 (H, W, 3), shown at `timestamp` seconds, with {attribute: strength}."""

    def reanchor(self) -> None:
        """Take what all frames share afresh from the next ones; may be called from any thread."""

    def save(self) -> bytes:
        """Its state, for another stream to go on with."""

    def restore(self, data: bytes) -> None:
        """Go on from what `save` gave; ValueError, and nothing changed, where it cannot be used."""

    def close(self) -> None:
        """Free what it holds."""


MakeStream = Callable[[], Stream]
